/* What Python has to agree with: imaging/headers/fast_headers.py and what it imports. */
#include "../../../core/native/layout.h"

#include "header_walk.h"

LAYOUT(
    {"version", 1}, /* raised with each change of a function's arguments */
    {"outcomes", OUTCOME_COUNT}, {"vrs", VRS}, {"numbers", NUMBERS}, {"gap numbers", GAP_NUMBERS},
    {"slot numbers", SLOT_NUMBERS}, {"creator numbers", CREATOR_NUMBERS},
    {"text limit", TEXT_LIMIT}, {"binary limit", BINARY_LIMIT}, {"sequence limit", SEQUENCE_LIMIT}
)
