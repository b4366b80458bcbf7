/* What extensions, references and bundle entries must hold beside their members. */
#include "fast_path.h"

#include <string.h>

/* Captures of these types, in the order of packing.CAPTURES. */
enum { EXTENSION_URL = 0 };
enum { REFERENCE_TEXT = 0, REFERENCE_TYPE = 1 };
enum { ATTACHMENT_DATA = 0, ATTACHMENT_SIZE = 1, ATTACHMENT_HASH = 2 };
enum { META_SECURITY = 0, META_PROFILE = 1 };
enum { ENTRY_URL = 0, ENTRY_SEARCH = 1, ENTRY_REQUEST = 2, ENTRY_RESPONSE = 3 };

static uint64_t mask_of(int32_t low, int32_t high) {
    return (uint64_t)(uint32_t)high << 32 | (uint32_t)low;
}

/* Whether a value is of a type that a definition allows; without types it allows none. */
static int value_is_allowed(uint64_t mask, int32_t value_bit) {
    if (mask == 0) return value_bit < 0;
    return value_bit >= 0 && (mask >> value_bit & 1) != 0;
}

static int slots_are_filled(const Table *table, const ExtensionRow *row, const Frame *frame) {
    for (int32_t s = row->slots; s < row->slots + row->slot_count; s++) {
        const SlotRow *slot = &table->packed.slots[s];
        int32_t count = 0;
        for (int32_t c = 0; c < frame->child_count; c++) {
            if (!same(frame->children[c].url, table->strings[slot->url])) continue;
            if (!value_is_allowed(mask_of(slot->mask_low, slot->mask_high),
                                  frame->children[c].value_bit))
                return 0;
            count++;
        }
        if (count < slot->min || (slot->max > 0 && count > slot->max)) return 0;
    }
    return 1;
}

/* Whether an extension may stand where it stands: on the type, or on the element. */
static int is_in_context(const Table *table, int32_t number, const Frame *holder) {
    const ExtensionRow *row = &table->packed.extensions[number];
    const uint64_t *types = table->packed.extension_types + (size_t)number * (size_t)table->packed.type_words;
    int32_t type = holder->member != NULL ? holder->member->type
                                          : (int32_t)(holder->shape - table->shapes);
    if (types[type / 64] >> (type % 64) & 1) return 1;
    if (holder->member == NULL) return 0;
    int32_t member = (int32_t)(holder->member - table->members);
    for (int32_t i = row->members; i < row->members + row->member_count; i++)
        if (table->packed.extension_members[i] == member) return 1;
    return 0;
}

int extension_is_valid(Run *run, Frame *frame) {
    const Table *table = run->table;
    Frame *holder = frame->parent;
    Text url = frame->captures[EXTENSION_URL];
    int is_nested = holder->shape->kind == EXTENSION;
    /* ext-1: either nested extensions or a value. */
    if ((frame->child_count > 0) == (frame->value_bit >= 0)) return 0;
    if (is_nested) {
        if (holder->child_count < MAX_CHILDREN) {
            holder->children[holder->child_count].url = url;
            holder->children[holder->child_count].value_bit = frame->value_bit;
        }
        holder->child_count++;
    }
    int32_t string = string_in(table, &table->sets[table->packed.extension_set], url);
    if (string < 0) {
        if (url.at != NULL && memchr(url.at, '|', url.size) != NULL) return 0;
        return is_nested || is_absolute_url(url);
    }
    int32_t number = table->extension_of_string[string];
    const ExtensionRow *row = &table->packed.extensions[number];
    if (row->is_modifier != frame->member->is_modifier) return 0;
    if (!is_in_context(table, number, holder)) return 0;
    if (!value_is_allowed(mask_of(row->mask_low, row->mask_high), frame->value_bit)) return 0;
    if (row->slot_count == 0) return 1;
    return frame->child_count <= MAX_CHILDREN && slots_are_filled(table, row, frame);
}

int may_refer(const Table *table, int32_t targets, const Shape *shape) {
    if (targets < 0) return 1;
    const uint64_t *words = table->packed.targets + (size_t)targets * (size_t)table->packed.target_words;
    size_t type = (size_t)(shape - table->shapes);
    return (words[type / 64] >> (type % 64) & 1) != 0;
}

static const Shape *resource_named(const Table *table, Text name) {
    int32_t string = string_in(table, &table->sets[table->packed.resource_set], name);
    return string < 0 ? NULL : &table->shapes[table->shape_of_string[string]];
}

/* The part of a text after its last slash, which is cut off it with the slash. */
static Text cut_last(Text *text) {
    size_t i = text->size;
    while (i > 0 && text->at[i - 1] != '/') i--;
    Text last = {text->at + i, text->size - i};
    text->size = i > 0 ? i - 1 : 0;
    return last;
}

/* What a reference names: [http(s)://base/]Type/id[/_history/id] or [base/]Type?criteria. */
static const Shape *named_by(const Table *table, Text text) {
    static const char *const schemes[] = {"https://", "http://"};
    size_t base = 0;
    for (int i = 0; i < 2 && base == 0; i++)
        if (begins(text, schemes[i])) base = strlen(schemes[i]);
    const uint8_t *query = memchr(text.at, '?', text.size);
    Text rest = text, type;
    if (query != NULL) {
        if (query + 1 == text.at + text.size) return NULL;
        rest.size = (size_t)(query - text.at);
        type = cut_last(&rest);
    } else {
        Text id = cut_last(&rest);
        if (!is_id(id)) return NULL;
        type = cut_last(&rest);
        if (is_text(type, "_history")) {
            if (!is_id(cut_last(&rest))) return NULL;
            type = cut_last(&rest);
        }
    }
    /* Before the type stands nothing, or a base with at least a character after its scheme. */
    int is_relative = type.at == text.at;
    if (!is_relative && (base == 0 || (size_t)(type.at - text.at) < base + 2)) return NULL;
    for (const uint8_t *at = text.at; at < text.at + text.size; at++) {
        if (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n') return NULL;
        if (*at == '#' && (query == NULL || at < query)) return NULL;
    }
    return resource_named(table, type);
}

int reference_is_valid(Run *run, Frame *frame) {
    const Table *table = run->table;
    Text text = frame->captures[REFERENCE_TEXT], type = frame->captures[REFERENCE_TYPE];
    int32_t targets = frame->member->targets;
    const Shape *stated = NULL;
    if (type.at != NULL) {
        stated = resource_named(table, type);
        if (stated == NULL || !may_refer(table, targets, stated)) return 0;
    }
    if (text.at == NULL) return 1;
    run->resources.items[frame->resource].has_reference = 1;
    if (text.at[0] == '#' || begins(text, "urn:")) {
        Text fragment = {text.at + 1, text.size - 1};
        if (text.at[0] == '#' && type.at != NULL) return 0; /* to be held against what it names */
        if (text.at[0] == '#' ? !is_id(fragment) : !is_urn_uuid(text)) return 0;
        Reference *reference = PUSH(run, run->references);
        if (reference == NULL) return 0;
        Reference made = {text, targets, frame->resource, 0};
        *reference = made;
        return 1;
    }
    const Shape *named = named_by(table, text);
    return named != NULL && may_refer(table, targets, named) && (stated == NULL || stated == named);
}

/* Whether no profile is named that R4 itself publishes, beside the resource's own type. */
static int has_no_core_profile(Text profiles, Text own) {
    static const char base[] = "http://hl7.org/fhir/StructureDefinition/";
    const uint8_t *position = NULL;
    Text profile;
    int is_certain = 1;
    while (profiles.at != NULL && next_item(profiles, &position, &profile)) {
        Text url = plain_string(profile, &is_certain);
        if (!is_certain) return 0;
        if (!begins(url, base)) continue;
        Text name = {url.at + sizeof base - 1, url.size - (sizeof base - 1)};
        if (!same(name, own)) return 0;
    }
    return 1;
}

/* Two security labels or more could be the same one. */
int meta_is_valid(Run *run, Frame *frame) {
    const uint8_t *position = NULL;
    Text label, labels = frame->captures[META_SECURITY];
    int count = 0;
    while (labels.at != NULL && next_item(labels, &position, &label))
        if (++count > 1) return 0;
    const Shape *shape = run->resources.items[frame->resource].shape;
    if (!has_no_core_profile(frame->captures[META_PROFILE], shape->name)) return 0;
    frame->parent->meta_seen = frame->seen;
    return 1;
}

/* Size and hash of data that are at hand are for the thorough path. */
int attachment_is_valid(const Frame *frame) {
    const Text *captures = frame->captures;
    return captures[ATTACHMENT_DATA].at == NULL ||
           (captures[ATTACHMENT_SIZE].at == NULL && captures[ATTACHMENT_HASH].at == NULL);
}

int entry_is_noted(Run *run, const Frame *frame) {
    Entry *entry = &run->entries.items[run->entries.count - 1];
    int is_certain = 1;
    entry->full_url = frame->captures[ENTRY_URL];
    entry->has_search = frame->captures[ENTRY_SEARCH].at != NULL;
    entry->has_request = frame->captures[ENTRY_REQUEST].at != NULL;
    entry->has_response = frame->captures[ENTRY_RESPONSE].at != NULL;
    if (entry->has_search)
        entry->mode = plain_string(member_in(frame->captures[ENTRY_SEARCH], "mode"), &is_certain);
    if (entry->has_request) {
        entry->method = plain_string(member_in(frame->captures[ENTRY_REQUEST], "method"), &is_certain);
        entry->url = plain_string(member_in(frame->captures[ENTRY_REQUEST], "url"), &is_certain);
    }
    return is_certain;
}
