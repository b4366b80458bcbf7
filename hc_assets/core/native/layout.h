/* How a compiled library states its layout: sizes of rows, numbers of kinds, limits.
 *
 * Each library has one LAYOUT(...), with values that the compiler works out from the declarations
 * themselves. hc_assets/core/compiled.py compares them with those of its caller before any other call.
 */
#ifndef HC_LAYOUT_H
#define HC_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#ifdef _WIN32
#define LAYOUT_EXPORT __declspec(dllexport)
#else
#define LAYOUT_EXPORT __attribute__((visibility("default")))
#endif

typedef struct {
    const char *name; /* NULL behind the last one */
    int64_t value;
} LayoutFact;

#define SIZE_OF(type) {#type, sizeof(type)}

#define LAYOUT(...)                                                            \
    LAYOUT_EXPORT const LayoutFact *hc_layout(void);                           \
    const LayoutFact *hc_layout(void) {                                        \
        static const LayoutFact facts[] = {__VA_ARGS__, {NULL, 0}};            \
        return facts;                                                          \
    }

#endif
