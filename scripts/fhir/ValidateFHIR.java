import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import java.nio.file.Files;
import java.nio.file.Path;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;

/**
 * Validates resources of FHIR R4, one on each line of the given files, against the definitions that HAPI ships. Prints each error as
 * FILE:LINE: PLACE: MESSAGE, then how many resources there were. Needs no network.
 */
public class ValidateFHIR {
    public static void main(String[] files) throws Exception {
        var context = FhirContext.forR4();
        var support = new ValidationSupportChain(
            new DefaultProfileValidationSupport(context),
            new CommonCodeSystemsTerminologyService(context),
            new InMemoryTerminologyServerValidationSupport(context));
        var validator = context.newValidator().registerValidatorModule(new FhirInstanceValidator(support));
        int resources = 0;
        for (var file : files) {
            int number = 0;
            for (var line : Files.readAllLines(Path.of(file))) {
                number++;
                resources++;
                for (var message : validator.validateWithResult(line).getMessages()) {
                    if (message.getSeverity().compareTo(ResultSeverityEnum.ERROR) >= 0) {
                        System.out.printf("%s:%d: %s: %s%n", file, number, message.getLocationString(), message.getMessage());
                    }
                }
            }
        }
        System.out.printf("%d resources validated%n", resources);
    }
}
