/* Reads the heads of data elements: tag, VR, length, and what the dictionary says about them.
 *
 * Belongs here: one head. Walking from element to element is in header_walk.c.
 */
#include "header_walk.h"

/* What Python gives once: the public dictionary and the wanted columns */
static uint32_t known_tags[MAX_TAGS];
static uint8_t known_vrs[MAX_TAGS];
static uint8_t known_slots[MAX_TAGS];
static uint32_t known_count;
static uint32_t slot_macros[MAX_SLOTS];
static uint8_t vr_of_letters[26 * 26];

/* Takes the dictionary: tags in ascending order, their VRs, the number of their column from 1. */
EXPORT int hc_dicom_dictionary(const uint32_t *tags, const uint8_t *vrs, const uint8_t *slots,
                               uint32_t count, const uint32_t *macros, uint32_t slot_count) {
    if (count > MAX_TAGS || slot_count > MAX_SLOTS) return REFUSED;
    memcpy(known_tags, tags, count * sizeof *tags);
    memcpy(known_vrs, vrs, count);
    memcpy(known_slots, slots, count);
    memcpy(slot_macros, macros, slot_count * sizeof *macros);
    for (int vr = AE; vr < US_OR_SS; vr++)
        vr_of_letters[(VR_NAMES[vr][0] - 'A') * 26 + VR_NAMES[vr][1] - 'A'] = (uint8_t)vr;
    known_count = count;
    return DONE;
}

static uint32_t find(uint32_t tag) {
    uint32_t low = 0, high = known_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (known_tags[middle] < tag) low = middle + 1;
        else high = middle;
    }
    return low < known_count && known_tags[low] == tag ? low : known_count;
}

enum vr letters_vr(const uint8_t *p) {
    if (p[0] < 'A' || p[0] > 'Z' || p[1] < 'A' || p[1] > 'Z') return NONE;
    return (enum vr)vr_of_letters[(p[0] - 'A') * 26 + p[1] - 'A'];
}

int is_long(enum vr vr) {
    switch (vr) {
    case OB: case OD: case OF: case OL: case OV: case OW: case SQ: case SV: case UC: case UN:
    case UR: case UT: case UV: return 1;
    default: return 0;
    }
}

int is_text(enum vr vr) {
    switch (vr) {
    case AE: case AS: case CS: case DA: case DS: case DT: case IS: case LO: case LT: case PN:
    case SH: case ST: case TM: case UC: case UI: case UR: case UT: return 1;
    default: return 0;
    }
}

int is_binary(enum vr vr) {
    return vr == OB || vr == OD || vr == OF || vr == OL || vr == OV || vr == OW || vr == UN;
}

/* Reads tag, VR and length; says MORE for an element that the file has, REFUSED for a bad one. */
int read_head(const walk *w, uint64_t at, uint64_t end, int implicit, head *h) {
    TRY(need(w, at, 8, end));
    const uint8_t *p = w->data + at;
    h->tag = tag_at(p, w->big);
    h->implicit = implicit;
    h->is_unknown = 0;
    h->is_public = 0;
    h->slot = h->macro = 0;
    if (implicit) {
        h->length = u32(p + 4, w->big);
        h->value = at + 8;
        h->vr = NONE;
        return DONE;
    }
    h->vr = letters_vr(p + 4);
    if (h->vr == NONE) return REFUSED;
    h->length = u16(p + 6, w->big);
    h->value = at + 8;
    if (is_long(h->vr)) {
        TRY(need(w, at, 12, end));
        h->length = u32(p + 8, w->big);
        h->value = at + 12;
    }
    return DONE;
}

int is_creator(uint32_t tag) {
    return (tag >> 16 & 1) && (tag & 0xFFFF) >= 0x10 && (tag & 0xFFFF) <= 0xFF;
}

/* Whether pixels are signed, as far as the datasets around have stated; -1 where they may yet. */
static int signedness(const level *l) {
    for (; l; l = l->parent) {
        if (l->tag <= PIXEL_REPRESENTATION) return -1;
        if (l->signed_here >= 0) return l->signed_here;
    }
    return 0;
}

/* Finds the VR that fhir/enrichment/elements.py would; NONE where that takes the private dictionary. */
int resolve(const level *l, head *h) {
    uint32_t tag = h->tag;
    uint32_t place = tag >> 16 & 1 ? known_count : find(tag);
    int known = place < known_count;
    enum vr listed = NONE;
    if (known) {
        listed = (enum vr)known_vrs[place];
        h->is_public = 1;
        h->slot = known_slots[place];
        if (h->slot) h->macro = slot_macros[h->slot - 1];
    }
    if (!h->implicit) {
        h->is_unknown = h->vr == UN;
        if (h->vr == UN && h->length == UNDEFINED) h->vr = SQ; /* PS3.5 6.2.2 note 4 */
        if (h->vr == UN && is_creator(tag)) h->vr = LO;
        if (listed == SQ && h->vr != SQ && h->vr != UN) return REFUSED;
        if (h->vr != UN || tag >> 16 & 1) return DONE;
        h->vr = listed; /* of a repeating group, Python knows */
        if (!known && (tag & 0xFFFF) == 0) h->vr = UN;
    } else if (known) {
        h->vr = listed;
    } else if ((tag & 0xFFFF) == 0) {
        h->vr = UL;
    } else if (is_creator(tag)) {
        h->vr = LO;
    }
    if (known && h->vr == NONE) return REFUSED;
    if (h->vr == US_OR_SS) {
        int is_signed = signedness(l);
        if (is_signed < 0) return REFUSED;
        h->vr = is_signed ? SS : US;
    }
    return DONE;
}
