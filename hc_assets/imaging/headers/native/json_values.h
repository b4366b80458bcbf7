/* Values of data elements as JSON, and what both the values and the walk need. */
#ifndef HC_JSON_VALUES_H
#define HC_JSON_VALUES_H

#include <stdint.h>
#include <string.h>

/* VRs by number; imaging/headers/fast_columns.py has the same list */
enum vr {
    NONE, AE, AS, AT, CS, DA, DS, DT, FD, FL, IS, LO, LT, OB, OD, OF, OL, OV, OW, PN, SH, SL, SQ,
    SS, ST, SV, TM, UC, UI, UL, UN, UR, US, UT, UV, US_OR_SS, VRS
};
extern const char VR_NAMES[VRS][3];

/* Numbers of either byte order */
static inline uint32_t u16(const uint8_t *p, int big) {
    return big ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}
static inline uint32_t u32(const uint8_t *p, int big) {
    return big ? u16(p, 1) << 16 | u16(p + 2, 1) : u16(p + 2, 0) << 16 | u16(p, 0);
}
static inline uint64_t u64(const uint8_t *p, int big) {
    return big ? (uint64_t)u32(p, 1) << 32 | u32(p + 4, 1) : (uint64_t)u32(p + 4, 0) << 32 | u32(p, 0);
}
static inline uint32_t tag_at(const uint8_t *p, int big) {
    return u16(p, big) << 16 | u16(p + 2, big);
}

static inline int is_pad(char c) { return c == ' ' || c == 0; }

static inline char *put(char *out, const char *text, size_t size) {
    memcpy(out, text, size);
    return out + size;
}
#define PUT(out, text) put(out, text, sizeof(text) - 1)

char *put_hex(char *out, uint32_t value, int digits);
/* The rest of an element's object behind its "vr" */
char *put_text(char *out, enum vr vr, const char *text, uint32_t length);
char *put_numbers(char *out, enum vr vr, const uint8_t *data, uint32_t length, int big);
char *put_base64(char *out, const uint8_t *data, uint32_t length);

#endif
