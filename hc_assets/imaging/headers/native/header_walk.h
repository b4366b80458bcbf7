/* What reading the heads of elements and walking them have in common. */
#ifndef HC_HEADER_WALK_H
#define HC_HEADER_WALK_H

#include "json_values.h"

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

enum { DONE, REFUSED, MORE, OUTCOME_COUNT };

#define UNDEFINED 0xFFFFFFFFu
#define ITEM 0xFFFEE000u
#define ITEM_END 0xFFFEE00Du
#define SEQUENCE_END 0xFFFEE0DDu
#define CHARACTER_SET 0x00080005u
#define PIXEL_REPRESENTATION 0x00280103u
#define SHARED_GROUPS 0x52009229u
#define FRAME_GROUPS 0x52009230u

#define MAX_CREATORS 32
#define MAX_SLOTS 64
#define MAX_TAGS 8192
#define SLOT_NUMBERS 3
#define CREATOR_NUMBERS 3
#define GAP_NUMBERS 12
#define MAX_DEPTH 24
#define PREFIX 132
/* Limits of imaging/headers/dicom_json.py; what reaches one of them is a gap or is refused */
#define TEXT_LIMIT (64 * 1024)
#define BINARY_LIMIT (4 * 1024)
#define SEQUENCE_LIMIT (8 * 1024 * 1024)

typedef struct {
    uint32_t tag;
    uint32_t at, length;
} creator;

typedef struct level {
    const struct level *parent;
    uint32_t tag;    /* of the element that is read */
    int signed_here; /* PixelRepresentation: -1 not seen, else whether pixels are signed */
    uint32_t set_at, set_length; /* SpecificCharacterSet in force */
    int creator_count;
    creator creators[MAX_CREATORS];
} level;

/* Answer: numbers, then columns as (VR, offset, length), then private creators, then gaps */
enum { JSON_SIZE, GAPS, HAS_PIXELS, IS_SIGNED, SET_AT, SET_LENGTH, SYNTAX_AT, SYNTAX_LENGTH,
       CLASS_AT, CLASS_LENGTH, INSTANCE_AT, INSTANCE_LENGTH, CREATORS, IS_BARE, IS_BIG, NUMBERS };

typedef struct {
    const uint8_t *data;
    uint64_t have, size;
    int big; /* endian, where it is read now */
    char *json, *json_start, *json_end;
    uint32_t *answer, *slots, *gaps, *creators;
    uint32_t max_gaps, max_creators;
    int64_t budget;
    uint32_t known, public;
} walk;

typedef struct {
    uint32_t tag;
    enum vr vr;       /* as resolved; NONE where only Python can decide */
    uint32_t length;
    uint64_t value;
    int implicit;     /* whether its dataset is implicit VR */
    int is_unknown;   /* whether it was sent as UN */
    int is_public;    /* whether the dictionary has it */
    uint32_t slot;    /* number of its column, from 1; 0 where it has none */
    uint32_t macro;   /* sequence in functional groups that may hold it; 0 where none may */
} head;

/* Whether bytes are within `end` and, if so, whether they have been read yet. */
static inline int need(const walk *w, uint64_t at, uint64_t size, uint64_t end) {
    if (at > end || end - at < size) return REFUSED;
    return at + size > w->have ? MORE : DONE;
}

#define TRY(call)                        \
    do {                                 \
        int outcome_ = (call);           \
        if (outcome_) return outcome_;   \
    } while (0)

static inline int room(const walk *w, uint64_t size) {
    return (uint64_t)(w->json_end - w->json) < size ? REFUSED : DONE;
}

int is_long(enum vr vr);
int is_text(enum vr vr);
int is_binary(enum vr vr);
int is_creator(uint32_t tag);
/* VR of two letters; NONE where there is none. */
enum vr letters_vr(const uint8_t *p);
/* Reads tag, VR and length of the element at `at`. */
int read_head(const walk *w, uint64_t at, uint64_t end, int implicit, head *h);
/* Finds what the dictionary says, and the VR that fhir/enrichment/elements.py would. */
int resolve(const level *l, head *h);

#endif
