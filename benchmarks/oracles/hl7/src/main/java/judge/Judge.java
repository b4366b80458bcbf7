package judge;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.SingleValidationMessage;
import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.charset.StandardCharsets;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.UnknownCodeSystemWarningValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.r5.utils.validation.constants.BestPracticeWarningLevel;

/**
 * Judges resources line by line: a request {"id": ..., "resource": "<text>"} a line on the standard
 * input, its answer {"id": ..., "nanos": ..., "issues": [...]} a line on the standard output, in the
 * order of the requests; nanos is processor time of the thread that judges. The resource is text, so
 * that its bytes reach the engine as they are.
 * Nothing is fetched from a network. The first line of all says that the definitions are loaded.
 */
public final class Judge {
  private Judge() {}

  private static FhirValidator validator() {
    FhirContext context = FhirContext.forR4();
    UnknownCodeSystemWarningValidationSupport unknown =
        new UnknownCodeSystemWarningValidationSupport(context);
    unknown.setNonExistentCodeSystemSeverity(IValidationSupport.IssueSeverity.WARNING);
    ValidationSupportChain chain =
        new ValidationSupportChain(
            new DefaultProfileValidationSupport(context),
            new SearchParameters(context),
            new InMemoryTerminologyServerValidationSupport(context),
            new CommonCodeSystemsTerminologyService(context),
            unknown);
    FhirInstanceValidator module = new FhirInstanceValidator(chain);
    module.setAnyExtensionsAllowed(true);
    module.setErrorForUnknownProfiles(false); // profiles of other packages are not at hand
    module.setAllowExamples(true); // R4 forbids no example URL
    References references = new References();
    module.setValidatorResourceFetcher(references);
    module.setValidatorPolicyAdvisor(references);
    module.setBestPracticeWarningLevel(BestPracticeWarningLevel.Ignore);
    FhirValidator validator = context.newValidator();
    validator.registerValidatorModule(module);
    return validator;
  }

  private static JsonObject issue(String severity, String where, String id, String message) {
    JsonObject issue = new JsonObject();
    issue.addProperty("severity", severity);
    issue.addProperty("location", where == null ? "" : where);
    issue.addProperty("message_id", id == null ? "" : id);
    issue.addProperty("message", message == null ? "" : message);
    return issue;
  }

  private static JsonArray issues(FhirValidator validator, String resource) {
    JsonArray found = new JsonArray();
    try {
      for (SingleValidationMessage each : validator.validateWithResult(resource).getMessages()) {
        String severity = each.getSeverity().getCode();
        found.add(issue(severity, each.getLocationString(), each.getMessageId(), each.getMessage()));
      }
    } catch (OutOfMemoryError problem) {
      throw problem;
    } catch (RuntimeException | Error problem) {
      // The engine gives up so where it can't read a text or is surprised by one.
      found.add(issue("fatal", "", problem.getClass().getSimpleName(), problem.getMessage()));
    }
    return found;
  }

  public static void main(String[] arguments) throws IOException {
    PrintStream out =
        new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);
    System.setOut(System.err); // what libraries print is no answer
    BufferedReader lines =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8), 1 << 20);
    Gson gson = new Gson();
    ThreadMXBean clock = ManagementFactory.getThreadMXBean();
    FhirValidator validator = validator();
    issues(validator, "{\"resourceType\":\"Basic\",\"code\":{\"text\":\"x\"}}");
    out.print("{\"ready\":true}\n");
    out.flush();
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      JsonObject request = JsonParser.parseString(line).getAsJsonObject();
      JsonObject answer = new JsonObject();
      answer.add("id", request.get("id"));
      long start = clock.getCurrentThreadCpuTime();
      JsonArray issues = issues(validator, request.get("resource").getAsString());
      answer.addProperty("nanos", clock.getCurrentThreadCpuTime() - start);
      answer.add("issues", issues);
      out.print(gson.toJson(answer) + "\n");
      out.flush();
    }
  }
}
