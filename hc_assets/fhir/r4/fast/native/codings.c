/* Codings: whether a code is in its code system, and whether it is that of a vital sign.
 *
 * The codes come as one text, a code system a line: its URL, then its codes, tabs between them. The
 * first one is open: it has other codes too. Those that are listed are the vital signs', and behind them
 * those of their components.
 */
#include "fast_path.h"

#include <stdlib.h>
#include <string.h>

#define CATEGORY_URL "http://terminology.hl7.org/CodeSystem/observation-category"

static uint32_t buckets_for(size_t count) {
    uint32_t size = 4;
    while (size < 2 * count) size *= 2;
    return size;
}

/* URLs of code systems begin alike: their ends tell them apart. */
static uint32_t hash_of_url(Text url) {
    uint64_t word = 0;
    size_t size = url.size < 8 ? url.size : 8;
    memcpy(&word, url.at + url.size - size, size);
    word = (word ^ url.size) * 0xD6E8FEB86659FD93u;
    return (uint32_t)(word ^ word >> 32);
}

static uint32_t hash_in(int32_t system, Text code) {
    return hash_of(code) + (uint32_t)system * 0x9E3779B1u;
}

static size_t count_of(Text text, uint8_t mark) {
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) count += text.at[i] == mark;
    return count;
}

/* The text up to the next tab or line end; `at` is moved behind it. */
static Text next_word(const uint8_t **at, const uint8_t *end) {
    Text word = {*at, 0};
    while (*at < end && **at != '\t' && **at != '\n') ++*at;
    word.size = (size_t)(*at - word.at);
    return word;
}

static void put_system(Codings *codings, Text url) {
    uint32_t slot = hash_of_url(url);
    codings->systems[codings->system_count++] = url;
    while (codings->system_buckets[slot & codings->system_mask] != 0) slot++;
    codings->system_buckets[slot & codings->system_mask] = (uint32_t)codings->system_count;
}

static void put_code(Codings *codings, Text code) {
    uint32_t slot = hash_in(codings->system_count - 1, code);
    codings->codes[codings->code_count].text = code;
    codings->codes[codings->code_count++].system = codings->system_count - 1;
    while (codings->code_buckets[slot & codings->code_mask] != 0) slot++;
    codings->code_buckets[slot & codings->code_mask] = (uint32_t)codings->code_count;
}

void codings_free(Codings *codings) {
    free(codings->systems);
    free(codings->codes);
    free(codings->system_buckets);
    free(codings->code_buckets);
}

static int32_t system_of(const Codings *codings, Text url) {
    for (uint32_t slot = hash_of_url(url);; slot++) {
        uint32_t found = codings->system_buckets[slot & codings->system_mask];
        if (found == 0) return -1;
        if (same(codings->systems[found - 1], url)) return (int32_t)found - 1;
    }
}

static int32_t code_of(const Codings *codings, int32_t system, Text text) {
    for (uint32_t slot = hash_in(system, text);; slot++) {
        uint32_t found = codings->code_buckets[slot & codings->code_mask];
        if (found == 0) return -1;
        const Code *code = &codings->codes[found - 1];
        if (code->system == system && same(code->text, text)) return (int32_t)found - 1;
    }
}

static Text text_of(const char *word) {
    Text text = {(const uint8_t *)word, strlen(word)};
    return text;
}

int codings_fill(Codings *codings, Text text) {
    const uint8_t *at = text.at, *end = text.at + text.size;
    size_t systems = count_of(text, '\n') + 1, codes = count_of(text, '\t');
    codings->system_mask = buckets_for(systems) - 1;
    codings->code_mask = buckets_for(codes) - 1;
    codings->systems = calloc(systems, sizeof *codings->systems);
    codings->codes = calloc(codes + 1, sizeof *codings->codes);
    codings->system_buckets = calloc((size_t)codings->system_mask + 1, sizeof(uint32_t));
    codings->code_buckets = calloc((size_t)codings->code_mask + 1, sizeof(uint32_t));
    if (!codings->systems || !codings->codes || !codings->system_buckets || !codings->code_buckets)
        return 0;
    while (at < end) {
        put_system(codings, next_word(&at, end));
        while (at < end && *at == '\t') {
            at++;
            put_code(codings, next_word(&at, end));
        }
        if (at < end) at++;
    }
    int32_t category = system_of(codings, text_of(CATEGORY_URL));
    codings->vital_category = category < 0 ? -1 : code_of(codings, category, text_of("vital-signs"));
    return 1;
}

/* Notes what a vital sign's profile asks of the codings of an Observation's code and category, and
 * of the codes of its components. */
static void note(const Codings *codings, const Frame *frame, int32_t system, int32_t code) {
    Frame *concept = frame->parent, *holder = concept->parent;
    if (concept->member->role == CODE_ROLE) {
        if (system == 0 && code >= 0) holder->sign = holder->sign == 0 ? code + 1 : SEVERAL_SIGNS;
        return;
    }
    int is_vital = code >= 0 && code == codings->vital_category;
    if (is_vital) {
        holder->vital_categories++;
        concept->value_bit = 1;
    }
    /* Beside others the slices of the profile are to be asked. */
    if ((++concept->child_count > 1 && concept->value_bit == 1) ||
        (!is_vital && is_text(frame->captures[CODING_CODE], "vital-signs")))
        holder->vital_categories = MOST_CATEGORIES;
}

/* Whether the unit of a quantity is one of those that its type is bound to, or of another system. */
int unit_fits(const Table *table, const Frame *frame) {
    Text system = frame->captures[CODING_SYSTEM], code = frame->captures[CODING_CODE];
    const Member *member = frame->member;
    if (member == NULL || member->extensible == -1 || system.at == NULL || code.at == NULL) return 1;
    return has_pair(table, member->extensible, system, code) ||
           string_in(table, &table->sets[member->extensible_systems], system) < 0;
}

int coding_is_known(const Table *table, const Frame *frame) {
    const Codings *codings = &table->codings;
    Text system = frame->captures[CODING_SYSTEM], code = frame->captures[CODING_CODE];
    const Member *member = frame->parent->member;
    int32_t number = system.at == NULL ? -1 : system_of(codings, system), found = -1;
    if (number >= 0 && code.at != NULL) {
        found = code_of(codings, number, code);
        if (found < 0 && number > 0) return 0;
    }
    if (member != NULL && member->role != NO_ROLE) note(codings, frame, number, found);
    return 1;
}
