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
 * Lets the engine look at references. It looks at types only where one resolves; so each resolves to
 * a resource of the type that it names, of which nothing more is known. A relative reference is
 * relative to the base of a FHIR server (R4, Reference.reference), where nothing is but types with ids
 * and searches: any other can't resolve, and shall (R4, Reference). What an absolute one leads to
 * isn't known.
 */
final class References extends FhirDefaultPolicyAdvisor implements IValidatorResourceFetcher {
  private static final Pattern RESTFUL =
      Pattern.compile(
          "(?:https?://.+/)?([A-Z][A-Za-z]+)(?:/[A-Za-z0-9.-]{1,64}(?:/_history/.+)?|\\?.+)");

  private static final Pattern ABSOLUTE = Pattern.compile("#|[A-Za-z][A-Za-z0-9+.-]*:");

  @Override
  public ReferenceValidationPolicy policyForReference(
      IResourceValidator validator,
      Object context,
      String path,
      String url,
      ReferenceDestinationType destination) {
    return ABSOLUTE.matcher(url).lookingAt() || typeOf(validator, url) != null
        ? ReferenceValidationPolicy.CHECK_TYPE_IF_EXISTS
        : ReferenceValidationPolicy.CHECK_EXISTS_AND_TYPE;
  }

  /** The resource type that a reference names; null where it names none that R4 has. */
  private static String typeOf(IResourceValidator validator, String url) {
    Matcher parts = RESTFUL.matcher(url);
    boolean isKnown =
        parts.matches()
            && validator.getContext().getResourceNamesAsSet().contains(parts.group(1));
    return isKnown ? parts.group(1) : null;
  }

  @Override
  public Element fetch(IResourceValidator validator, Object context, String url)
      throws FHIRException, IOException {
    String type = typeOf(validator, url);
    if (type == null) {
      return null;
    }
    String text = "{\"resourceType\":\"" + type + "\",\"id\":\"a\"}";
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
