/* Walks the header of a well-formed DICOM file and writes it as DICOM JSON (PS3.18 Annex F).
 *
 * Belongs here: what must be fast and is the same for every well-formed header. It reads untrusted
 * bytes, so every access is behind a check of `need`, and anything that is not plainly regular is
 * refused: then the thorough reader in imaging/headers/reading.py, fhir/enrichment/elements.py and imaging/headers/dicom_json.py takes the file. A
 * value whose meaning needs more than its own bytes becomes a gap that Python fills.
 *
 * No Python API: imaging/headers/fast_headers.py loads this as a shared library and says what each number means.
 */
#include "header_walk.h"

static int add_gap(walk *w, const level *l, const head *h, int depth) {
    /* The character set of what precedes it may be still to come */
    if (h->tag < CHARACTER_SET && (is_text(h->vr) || h->vr == NONE)) return REFUSED;
    if (w->answer[GAPS] == w->max_gaps) return REFUSED;
    uint32_t *gap = w->gaps + GAP_NUMBERS * w->answer[GAPS]++;
    gap[0] = (uint32_t)(w->json - w->json_start);
    gap[1] = h->tag;
    gap[2] = (uint32_t)h->vr;
    gap[3] = (uint32_t)h->value;
    gap[4] = h->length;
    gap[5] = (uint32_t)depth;
    gap[6] = gap[7] = 0;
    gap[8] = l->set_at;
    gap[9] = l->set_length;
    gap[10] = (uint32_t)h->implicit;
    gap[11] = (uint32_t)w->big;
    if (h->vr == NONE) {
        uint32_t owner = (h->tag & 0xFFFF0000u) | (h->tag >> 8 & 0xFF);
        for (int i = 0; i < l->creator_count; i++) {
            if (l->creators[i].tag != owner) continue;
            gap[6] = l->creators[i].at;
            gap[7] = l->creators[i].length;
        }
    }
    return DONE;
}

static int put_value(walk *w, const level *l, const head *h, int depth) {
    /* Python shall see every character set, to refuse those that it doesn't trust */
    if (h->tag == CHARACTER_SET && depth) return add_gap(w, l, h, depth);
    uint32_t length = h->length, limit = is_text(h->vr) ? TEXT_LIMIT : BINARY_LIMIT;
    int is_bulk = length > limit || (h->tag & 0xFF00FFFFu) == 0x60003000u;
    if (h->vr == NONE || is_bulk) {
        if (length <= TEXT_LIMIT) TRY(need(w, h->value, length, w->size));
        return add_gap(w, l, h, depth);
    }
    TRY(need(w, h->value, length, w->size));
    TRY(room(w, (h->vr == PN ? 24 : 14) * (uint64_t)length + 128));
    const uint8_t *data = w->data + h->value;
    char *start = w->json;
    char *out = PUT(start, "{\"vr\":\"");
    out = put(out, VR_NAMES[h->vr], 2);
    *out++ = '"';
    if (!length) out = PUT(out, "}");
    else if (is_text(h->vr)) out = put_text(out, h->vr, (const char *)data, length);
    else if (is_binary(h->vr)) out = put_base64(out, data, length);
    else out = put_numbers(out, h->vr, data, length, w->big);
    if (!out) return add_gap(w, l, h, depth);
    w->json = out;
    return DONE;
}

/* Where in the functional groups a dataset is */
enum { ELSEWHERE, TOP, GROUP, MACRO };

static int put_dataset(walk *w, const level *parent, uint64_t *at, uint64_t end, int implicit,
                       int is_open, int depth, int where, uint32_t macro);

static int is_letter(uint8_t c) { return c >= 'A' && c <= 'Z'; }

/* Writes a sequence from its value on; `at` becomes what follows. */
static int put_sequence(walk *w, const level *l, const head *h, uint64_t *at, uint64_t end,
                        int implicit, int depth, int where) {
    int is_open = h->length == UNDEFINED;
    if (depth >= MAX_DEPTH || w->budget <= 0) return REFUSED;
    if (!is_open) {
        if (h->length > w->budget || end - h->value < h->length) return REFUSED;
        end = h->value + h->length;
    }
    uint64_t pos = h->value;
    uint32_t count = 0;
    int inside = ELSEWHERE;
    if (where == TOP && (h->tag == SHARED_GROUPS || h->tag == FRAME_GROUPS)) inside = GROUP;
    if (where == GROUP) inside = MACRO;
    /* One sent as UN is implicit VR little endian inside (PS3.5 6.2.2 notes 2 and 4); where it has
     * no length some writers have explicit VR, which its items tell */
    int outer_big = w->big;
    if (h->is_unknown) {
        implicit = !is_open;
        w->big = 0;
    }
    TRY(room(w, 64));
    w->json = PUT(w->json, "{\"vr\":\"SQ\"");
    while (is_open || pos < end) {
        TRY(need(w, pos, 8, end));
        uint32_t tag = tag_at(w->data + pos, w->big), length = u32(w->data + pos + 4, w->big);
        pos += 8;
        if (is_open && tag == SEQUENCE_END && length == 0) break;
        if (tag != ITEM || w->budget <= 0) return REFUSED;
        uint64_t item_end = end;
        if (length != UNDEFINED) {
            if (end - pos >= length) item_end = pos + length;
            else return REFUSED;
        }
        /* Within explicit VR an item may be implicit, as pydicom infers from its first element */
        int item_implicit = implicit;
        if (!implicit && length) {
            TRY(need(w, pos, 6, w->size));
            item_implicit = !(is_letter(w->data[pos + 4]) && is_letter(w->data[pos + 5]));
        }
        TRY(room(w, 64));
        w->json = count ? PUT(w->json, ",") : PUT(w->json, ",\"Value\":[");
        TRY(put_dataset(w, l, &pos, item_end, item_implicit, length == UNDEFINED, depth + 1,
                        count ? ELSEWHERE : inside, h->tag));
        count++;
    }
    TRY(room(w, 64));
    w->json = count ? PUT(w->json, "]}") : PUT(w->json, "}");
    w->big = outer_big;
    *at = pos;
    return DONE;
}

static int is_pixels(uint32_t tag) {
    return tag == 0x7FE00008u || tag == 0x7FE00009u || tag == 0x7FE00010u;
}

/* Keeps what Python makes typed columns of. */
static int note(walk *w, level *l, const head *h, int where, uint32_t macro) {
    if (h->slot && (where == TOP || (where == MACRO && h->macro == macro))) {
        uint32_t *slot = w->slots + SLOT_NUMBERS * (h->slot - 1);
        if (h->length > BINARY_LIMIT) return REFUSED;
        TRY(need(w, h->value, h->length, w->size));
        /* Functional groups come after the dataset's own, frames after what they share: the last
         * is the one that counts */
        slot[0] = (uint32_t)h->vr;
        slot[1] = (uint32_t)h->value;
        slot[2] = h->length;
    }
    if (h->tag == PIXEL_REPRESENTATION) {
        if (h->length > 2) return REFUSED;
        TRY(need(w, h->value, h->length, w->size));
        const uint8_t *p = w->data + h->value;
        l->signed_here = (h->length > 0 && p[0] == 1) || (h->length > 1 && p[1] == 1);
        if (where == TOP) w->answer[IS_SIGNED] = (uint32_t)l->signed_here;
    } else if (h->tag == CHARACTER_SET) {
        if (h->length > 256 || h->vr != CS) return REFUSED;
        TRY(need(w, h->value, h->length, w->size));
        l->set_at = (uint32_t)h->value;
        l->set_length = h->length;
        if (where == TOP) {
            w->answer[SET_AT] = l->set_at;
            w->answer[SET_LENGTH] = l->set_length;
        }
    } else if (is_creator(h->tag)) {
        if (l->creator_count == MAX_CREATORS || h->length > 256) return REFUSED;
        TRY(need(w, h->value, h->length, w->size));
        l->creators[l->creator_count++] = (creator){h->tag, (uint32_t)h->value, h->length};
        if (where == TOP) {
            if (w->answer[CREATORS] == w->max_creators) return REFUSED;
            uint32_t *made = w->creators + CREATOR_NUMBERS * w->answer[CREATORS]++;
            made[0] = (uint32_t)h->vr;
            made[1] = (uint32_t)h->value;
            made[2] = h->length;
        }
    }
    return DONE;
}

static int put_dataset(walk *w, const level *parent, uint64_t *at, uint64_t end, int implicit,
                       int is_open, int depth, int where, uint32_t macro) {
    level here = {.parent = parent, .signed_here = -1};
    if (parent) {
        here.set_at = parent->set_at;
        here.set_length = parent->set_length;
    }
    uint64_t pos = *at;
    int count = 0;
    TRY(room(w, 64));
    w->json = PUT(w->json, "{");
    for (;;) {
        head h;
        if (depth == 0) {
            if (pos == end) break;
            if (end - pos < 8) return REFUSED; /* cut off within an element's head */
        } else if (is_open) {
            TRY(need(w, pos, 8, end));
            if (tag_at(w->data + pos, w->big) == ITEM_END) {
                if (u32(w->data + pos + 4, w->big)) return REFUSED;
                pos += 8;
                break;
            }
        } else if (pos == end) {
            break;
        }
        TRY(read_head(w, pos, end, implicit, &h));
        if (h.tag <= here.tag || h.tag >> 16 == 0xFFFE) return REFUSED;
        if (depth == 0 && is_pixels(h.tag)) {
            w->answer[HAS_PIXELS] = 1;
            break;
        }
        here.tag = h.tag;
        if (h.value > UINT32_MAX) return REFUSED;
        TRY(resolve(&here, &h));
        if (depth == 0) {
            w->public += !(h.tag >> 16 & 1);
            w->known += h.is_public || (h.tag & 0x1FFFF) == 0;
        }
        if (h.length == UNDEFINED) {
            if (h.vr == NONE) {
                /* As pydicom does: what begins with an item is a sequence */
                TRY(need(w, h.value, 4, end));
                if (!(h.tag >> 16 & 1) || tag_at(w->data + h.value, w->big) != ITEM) return REFUSED;
                h.vr = SQ;
            }
            if (h.vr != SQ) return REFUSED;
        } else if (end - h.value < h.length) {
            return REFUSED;
        }
        if (h.vr != SQ) TRY(note(w, &here, &h, where, macro));
        else if (h.slot || is_creator(h.tag)) return REFUSED;
        if ((h.tag & 0xFFFF) == 0) {
            if (h.vr == SQ) return REFUSED;
            pos = h.value + h.length;
            continue; /* group lengths are not part of the model (PS3.18 F.2.2) */
        }
        TRY(room(w, 64));
        if (count++) *w->json++ = ',';
        *w->json++ = '"';
        w->json = put_hex(w->json, h.tag, 8);
        w->json = PUT(w->json, "\":");
        if (h.vr == SQ) {
            TRY(put_sequence(w, &here, &h, &pos, end, implicit, depth, where));
        } else {
            if (depth) w->budget -= h.length;
            TRY(put_value(w, &here, &h, depth));
            pos = h.value + h.length;
        }
    }
    TRY(room(w, 64));
    *w->json++ = '}';
    *at = pos;
    return DONE;
}

/* Whether a file without the DICM prefix begins with an element, as imaging/headers/reading.py tells it. */
static int looks_like_element(const uint8_t *p) {
    uint32_t group = u16(p, 0), swapped = u16(p, 1);
    head h = {.tag = tag_at(p, 0), .implicit = 1};
    if (letters_vr(p + 4) != NONE)
        return group == 2 || group == 4 || group == 8 || swapped == 2 || swapped == 4 || swapped == 8;
    if ((group != 2 && group != 4 && group != 8) || u32(p + 4, 0) >= 0x10000) return 0;
    if ((h.tag & 0xFFFF) == 0) return 1;
    return resolve(NULL, &h) == DONE && h.is_public;
}

/* Reads the file meta information (PS3.10 7.1), if any, and says where the dataset begins. */
static int read_meta(walk *w, uint64_t *at) {
    uint64_t pos = PREFIX, named = 0; /* where its group length says that it ends */
    uint32_t last = 0;
    if (w->size < PREFIX + 8) return REFUSED;
    TRY(need(w, 0, PREFIX + 8, w->size));
    if (memcmp(w->data + 128, "DICM", 4) != 0) {
        if (!looks_like_element(w->data)) return REFUSED;
        w->answer[IS_BARE] = 1;
        pos = 0;
    } else if (u16(w->data + PREFIX, 0) != 2) {
        return REFUSED;
    }
    for (;;) {
        head h;
        TRY(need(w, pos, 8, w->size));
        if (u16(w->data + pos, 0) != 2) break;
        TRY(read_head(w, pos, w->size, 0, &h));
        if (h.tag <= last || h.length == UNDEFINED || h.vr == SQ) return REFUSED;
        last = h.tag;
        TRY(need(w, h.value, h.length, w->size));
        if (h.tag == 0x00020000u && h.length == 4) named = h.value + 4 + u32(w->data + h.value, 0);
        int number = h.tag == 0x00020010u   ? SYNTAX_AT
                     : h.tag == 0x00020002u ? CLASS_AT
                     : h.tag == 0x00020003u ? INSTANCE_AT
                                            : -1;
        if (number >= 0) {
            if (h.vr != UI) return REFUSED;
            w->answer[number] = (uint32_t)h.value;
            w->answer[number + 1] = h.length;
        }
        pos = h.value + h.length;
    }
    if (pos < named) return REFUSED; /* it may go on behind an element of another group */
    *at = pos;
    return DONE;
}

/* Tells VR encoding and byte order by the transfer syntax, or by the data where there is none;
 * refuses what is not plain. */
static int read_encoding(walk *w, uint64_t at, int *implicit) {
    static const char base[] = "1.2.840.10008.1.2";
    const uint8_t *text = w->data + w->answer[SYNTAX_AT];
    uint32_t length = w->answer[SYNTAX_LENGTH], size = sizeof base - 1;
    TRY(need(w, at, 8, w->size));
    *implicit = letters_vr(w->data + at + 4) == NONE;
    while (length && is_pad((char)text[length - 1])) length--;
    if (length == 0) {
        w->answer[SYNTAX_LENGTH] = 0; /* padding alone is none */
        /* Group 0008 of big-endian data reads as 0800 here */
        w->big = !*implicit && u16(w->data + at, 0) >= 0x0400;
        return DONE;
    }
    if (length < size || memcmp(text, base, size) != 0) return REFUSED;
    if (*implicit != (length == size)) return REFUSED;
    if (!*implicit) {
        if (text[size] != '.') return REFUSED;
        w->big = length == size + 2 && text[size + 1] == '2';
        if (length >= size + 3 && memcmp(text + size, ".1.", 3) == 0) return REFUSED; /* deflated */
    }
    return DONE;
}

/* Reads a header. `data` holds the first `have` bytes of a file of `size`.
 *
 * `answer` takes NUMBERS numbers, three per column, GAP_NUMBERS per gap, three per private creator.
 * DONE, REFUSED, or MORE where more of the file is needed.
 */
EXPORT int hc_dicom_header(const uint8_t *data, uint64_t have, uint64_t size, char *json,
                           uint64_t json_size, uint32_t *answer, uint32_t slot_count,
                           uint32_t max_gaps, uint32_t max_creators) {
    walk w = {.data = data, .have = have, .size = size, .json = json, .json_start = json,
              .json_end = json + json_size, .answer = answer, .max_gaps = max_gaps,
              .max_creators = max_creators, .budget = SEQUENCE_LIMIT};
    uint64_t at = 0;
    int implicit = 0;
    w.slots = answer + NUMBERS;
    w.creators = w.slots + SLOT_NUMBERS * slot_count;
    w.gaps = w.creators + CREATOR_NUMBERS * max_creators;
    memset(answer, 0, (NUMBERS + SLOT_NUMBERS * (size_t)slot_count) * sizeof *answer);
    for (uint32_t slot = 0; slot < slot_count; slot++) w.slots[SLOT_NUMBERS * slot] = VRS; /* absent */
    TRY(read_meta(&w, &at));
    TRY(read_encoding(&w, at, &implicit));
    answer[IS_BIG] = (uint32_t)w.big;
    TRY(put_dataset(&w, NULL, &at, size, implicit, 0, 0, TOP, 0));
    /* Whether it is DICOM at all is for imaging/headers/reading.py to say */
    if (w.known * 2 < w.public || json + 2 == w.json) return REFUSED;
    if (answer[IS_BARE] && w.known < 3) return REFUSED;
    answer[JSON_SIZE] = (uint32_t)(w.json - json);
    return DONE;
}
