package judge;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.hl7.fhir.common.hapi.validation.validator.FhirDefaultPolicyAdvisor;
import org.hl7.fhir.exceptions.FHIRException;
import org.hl7.fhir.r5.elementmodel.Element;
import org.hl7.fhir.r5.elementmodel.Manager;
import org.hl7.fhir.r5.model.CanonicalResource;
import org.hl7.fhir.r5.model.CanonicalType;
import org.hl7.fhir.r5.utils.validation.IResourceValidator;
import org.hl7.fhir.r5.utils.validation.IValidatorResourceFetcher;
import org.hl7.fhir.r5.utils.validation.constants.ReferenceValidationPolicy;

/**
 * Lets the engine look at the types of references. It does that only where a reference resolves; so
 * each resolves to a resource of the type that it names, of which nothing more is known.
 */
final class References extends FhirDefaultPolicyAdvisor implements IValidatorResourceFetcher {
  private static final Pattern RESTFUL =
      Pattern.compile(
          "(?:https?://.+/)?([A-Z][A-Za-z]+)(?:/[A-Za-z0-9.-]{1,64}(?:/_history/.+)?|\\?.+)");

  @Override
  public ReferenceValidationPolicy policyForReference(
      IResourceValidator validator,
      Object context,
      String path,
      String url,
      ReferenceDestinationType destination) {
    return ReferenceValidationPolicy.CHECK_TYPE_IF_EXISTS;
  }

  @Override
  public Element fetch(IResourceValidator validator, Object context, String url)
      throws FHIRException, IOException {
    Matcher parts = RESTFUL.matcher(url);
    if (!parts.matches()
        || !validator.getContext().getResourceNamesAsSet().contains(parts.group(1))) {
      return null;
    }
    String text = "{\"resourceType\":\"" + parts.group(1) + "\",\"id\":\"a\"}";
    return Manager.parseSingle(
        validator.getContext(),
        new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8)),
        Manager.FhirFormat.JSON);
  }

  @Override
  public boolean resolveURL(
      IResourceValidator validator,
      Object context,
      String path,
      String url,
      String type,
      boolean canonical,
      List<CanonicalType> targets) {
    return true; // whether a URL leads anywhere isn't asked of it
  }

  @Override
  public byte[] fetchRaw(IResourceValidator validator, String url) {
    return null;
  }

  @Override
  public IValidatorResourceFetcher setLocale(Locale locale) {
    return this;
  }

  @Override
  public CanonicalResource fetchCanonicalResource(
      IResourceValidator validator, Object context, String url) {
    return null;
  }

  @Override
  public boolean fetchesCanonicalResource(IResourceValidator validator, String url) {
    return false;
  }

  @Override
  public Set<ResourceVersionInformation> fetchCanonicalResourceVersions(
      IResourceValidator validator, Object context, String url) {
    return Set.of();
  }
}
