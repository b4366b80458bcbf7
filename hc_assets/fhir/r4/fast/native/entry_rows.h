/* What is found of an entry: one row each. */
#ifndef HC_ENTRY_ROWS_H
#define HC_ENTRY_ROWS_H

#include <stdint.h>

/* Offsets in the text; both -1 for none. Strings are given without their quotes. */
typedef struct {
    int64_t begin, end;
} Span;

/* The order is that of `_SPANS` in fhir/bundles/entry_columns.py. */
typedef struct {
    Span resource, type, id, full_url, method, url, if_none_exist;
    int64_t position;
} Row;

#endif
