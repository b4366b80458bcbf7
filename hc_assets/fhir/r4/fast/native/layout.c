/* What Python has to agree with: fhir/r4/fast/packed_rows.py, and fhir/bundles/entry_columns.py. */
#include "../../../../core/native/layout.h"

#include "entry_rows.h"
#include "fast_path.h"
#include "operations.h"

LAYOUT(
    {"version", 1}, /* raised with each change of a function's arguments */
    SIZE_OF(Packed), SIZE_OF(MemberRow), SIZE_OF(ShapeRow), SIZE_OF(ExtensionRow), SIZE_OF(SlotRow),
    SIZE_OF(VitalSignRow), SIZE_OF(ComponentRow), SIZE_OF(Pair), {"EntryRow", sizeof(Row)},
    {"forms", FORM_COUNT}, {"kinds", KIND_COUNT}, {"roles", ROLE_COUNT}, {"syntaxes", SYNTAX_COUNT},
    {"operations", OPERATION_COUNT}, {"truths", TRUTH_COUNT}, {"captures", MAX_CAPTURES},
    {"depth", MAX_DEPTH}, {"string length", MAX_STRING}
)
