/* Vital signs: whether an Observation with the code of one certainly conforms to R4's profile of it.
 *
 * What the profiles demand is read by fhir/profiles/; here are the usual shapes of those that
 * conform. Whatever else there is, the thorough path decides. What its codings, quantities and
 * components are is noted as they are read.
 */
#include "fast_path.h"

/* Captures of an Observation and of a Quantity, in the order of packing.CAPTURES. */
enum { SUBJECT = 1, EFFECTIVE = 2 };
enum { QUANTITY_VALUE = 0, QUANTITY_UNIT = 1, QUANTITY_SYSTEM = 2, QUANTITY_CODE = 3 };
enum { DAY = 10 }; /* characters of a date that is precise to the day */

static uint64_t mask_of(int32_t low, int32_t high) {
    return (uint64_t)(uint32_t)high << 32 | (uint32_t)low;
}

/* A whole quantity in UCUM units leaves its code to what it is the value of. */
void note_quantity(const Frame *frame) {
    const Text *captures = frame->captures;
    if (frame->member->role == VALUE_ROLE && captures[QUANTITY_VALUE].at != NULL &&
        captures[QUANTITY_UNIT].at != NULL && captures[QUANTITY_SYSTEM].at != NULL &&
        is_text(captures[QUANTITY_SYSTEM], "http://unitsofmeasure.org"))
        frame->parent->quantity = captures[QUANTITY_CODE];
}

void note_component(const Frame *frame) {
    Frame *holder = frame->parent;
    if (holder->child_count < MAX_CHILDREN) {
        holder->children[holder->child_count].url = frame->quantity;
        holder->children[holder->child_count].value_bit = frame->sign;
    }
    holder->child_count++;
}

static int is_unit(const Table *table, int32_t units, Text code) {
    return units >= 0 && code.at != NULL && string_in(table, &table->sets[units], code) >= 0;
}

/* Exactly the components that are demanded, in any order. */
static int has_components(const Table *table, const Frame *frame, const VitalSignRow *row) {
    if (frame->child_count != row->component_count || row->component_count > MAX_CHILDREN) return 0;
    for (int32_t i = 0; i < row->component_count; i++) {
        const ComponentRow *wanted = &table->packed.vital_components[row->components + i];
        int32_t at = 0;
        while (at < frame->child_count && frame->children[at].value_bit != wanted->sign) at++;
        if (at == frame->child_count || !is_unit(table, wanted->units, frame->children[at].url))
            return 0;
    }
    return 1;
}

/* The subject is a patient; what a URN leads to is looked at once the bundle has been read. */
static int is_of_patient(Run *run, const Frame *frame) {
    int is_certain = 1;
    Text text = plain_string(member_in(frame->captures[SUBJECT], "reference"), &is_certain);
    if (!is_certain || text.size == 0) return 0;
    if (begins(text, "Patient/")) return 1;
    if (!begins(text, "urn:")) return 0;
    for (int32_t i = run->references.count - 1; i >= 0; i--) {
        Reference *reference = &run->references.items[i];
        if (reference->resource != frame->resource) break;
        if (same(reference->text, text)) reference->targets = run->table->packed.patient_targets;
    }
    return 1;
}

int vital_sign_is_valid(Run *run, const Frame *frame) {
    const Table *table = run->table;
    if (frame->sign == SEVERAL_SIGNS) return 0;
    if (frame->sign > table->packed.vital_sign_count) return 1; /* that of a component */
    const VitalSignRow *row = &table->packed.vital_signs[frame->sign - 1];
    uint64_t required = mask_of(row->required_low, row->required_high);
    if ((frame->seen & required) != required) return 0;
    if ((frame->seen & mask_of(row->forbidden_low, row->forbidden_high)) != 0) return 0;
    if (frame->value_bit != 0 || frame->captures[EFFECTIVE].size < DAY) return 0;
    if (frame->vital_categories != 1) return 0;
    if (row->component_count > 0 ? !has_components(table, frame, row)
                                 : !is_unit(table, row->units, frame->quantity))
        return 0;
    return is_of_patient(run, frame);
}
