package judge;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.r4.model.Bundle;
import org.hl7.fhir.r4.model.SearchParameter;

/**
 * R4's search parameters, which the engine asks for where one is derived from another. They are in
 * its jars, but not among the definitions that it loads by itself.
 */
final class SearchParameters implements IValidationSupport {
  private static final String FILE = "org/hl7/fhir/r4/model/sp/search-parameters.json";

  private final FhirContext context;
  private final Map<String, SearchParameter> parameters = new HashMap<>();

  SearchParameters(FhirContext context) {
    this.context = context;
    try (InputStream stream = SearchParameter.class.getClassLoader().getResourceAsStream(FILE)) {
      InputStreamReader reader = new InputStreamReader(stream, StandardCharsets.UTF_8);
      Bundle bundle = context.newJsonParser().parseResource(Bundle.class, reader);
      for (Bundle.BundleEntryComponent entry : bundle.getEntry()) {
        SearchParameter parameter = (SearchParameter) entry.getResource();
        parameters.put(parameter.getUrl(), parameter);
      }
    } catch (IOException problem) {
      throw new UncheckedIOException(problem);
    }
  }

  @Override
  public FhirContext getFhirContext() {
    return context;
  }

  @Override
  public <T extends IBaseResource> T fetchResource(Class<T> type, String url) {
    SearchParameter found = type == null ? null : parameters.get(url);
    return found != null && type.isInstance(found) ? type.cast(found) : null;
  }
}
