/* What Python has to agree with: resource_texts.py and resource_columns.py of fhir/enrichment/columns/. */
#include "../../../../core/native/layout.h"

#include "rows.h"

LAYOUT(
    {"version", 1}, /* raised with each change of a function's arguments */
    SIZE_OF(Span), SIZE_OF(Place), SIZE_OF(Reference), SIZE_OF(Piece), SIZE_OF(Plan),
    SIZE_OF(Patient), SIZE_OF(Encounter)
)
