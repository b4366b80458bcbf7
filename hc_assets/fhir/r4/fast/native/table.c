/* The table of definitions: rows from fhir/r4/fast/packing.py, with the hash tables that make them quick to ask. */
#include "fast_path.h"

#include <stdlib.h>
#include <string.h>

uint32_t hash_of(Text text) {
    uint64_t hash = text.size * 0x9E3779B97F4A7C15u;
    size_t size = text.size;
    const uint8_t *at = text.at;
    uint64_t word;
    while (size >= 8) {
        memcpy(&word, at, 8);
        hash = (hash ^ word) * 0xD6E8FEB86659FD93u;
        hash ^= hash >> 32;
        at += 8;
        size -= 8;
    }
    if (size >= 4) {
        uint32_t low, high;
        memcpy(&low, at, 4);
        memcpy(&high, at + size - 4, 4);
        hash = (hash ^ ((uint64_t)high << 32 | low)) * 0xD6E8FEB86659FD93u;
    } else if (size > 0) {
        word = (uint64_t)at[0] << 16 | (uint64_t)at[size / 2] << 8 | at[size - 1];
        hash = (hash ^ word) * 0xD6E8FEB86659FD93u;
    }
    return (uint32_t)(hash ^ hash >> 32);
}

static uint32_t buckets_for(int32_t count) {
    uint32_t size = 4;
    while (size < 2u * (uint32_t)count) size *= 2;
    return size;
}

int32_t string_in(const Table *table, const Set *set, Text text) {
    for (uint32_t slot = hash_of(text);; slot++) {
        uint32_t found = set->buckets[slot & set->mask];
        if (found == 0) return -1;
        if (same(table->strings[found - 1], text)) return (int32_t)(found - 1);
    }
}

const Member *find_member(const Shape *shape, Text name) {
    for (uint32_t slot = hash_of(name);; slot++) {
        uint16_t found = shape->buckets[slot & shape->mask];
        if (found == 0) return NULL;
        const Member *member = &shape->members[found - 1];
        if (member->name_size == name.size && memcmp(member->name, name.at, name.size) == 0)
            return member;
    }
}

static Member member_of(const Table *table, const MemberRow *row) {
    Member member = {
        .name = table->strings[row->name].at,
        .name_size = (uint16_t)table->strings[row->name].size,
        .form = (uint8_t)row->form,
        .element = (uint8_t)row->element,
        .is_list = (uint8_t)row->is_list,
        .is_sibling = (uint8_t)row->is_sibling,
        .is_modifier = (uint8_t)row->is_modifier,
        .needs_absolute = (uint8_t)row->needs_absolute,
        .capture = (int8_t)row->capture,
        .value_bit = (int8_t)row->value_bit,
        .role = (uint8_t)row->role,
        .is_maximum = (uint8_t)row->is_maximum,
        .extensible = row->extensible,
        .extensible_systems = row->extensible_systems,
        .min = (uint16_t)row->min,
        .shape = (uint16_t)row->shape,
        .type = (uint16_t)row->type,
        .max = (uint32_t)row->max,
        .codes = row->codes,
        .targets = row->targets,
        .rules = row->rules,
        .rule_count = row->rule_count,
    };
    return member;
}

static uint64_t bit(int32_t element) { return element < 0 ? 0 : (uint64_t)1 << element; }

static void fill_shapes(Table *table) {
    const Packed *packed = &table->packed;
    uint16_t *buckets = table->member_buckets;
    for (int32_t i = 0; i < packed->shape_count; i++) {
        const ShapeRow *row = &packed->shapes[i];
        Shape *shape = &table->shapes[i];
        shape->required = (uint64_t)(uint32_t)row->required_high << 32 | (uint32_t)row->required_low;
        shape->id_bit = bit(row->id_element);
        shape->text_bit = bit(row->text_element);
        shape->contained_bit = bit(row->contained_element);
        shape->name = table->strings[row->name];
        shape->members = &table->members[row->members];
        shape->member_count = row->member_count;
        shape->rules = row->rules;
        shape->rule_count = row->rule_count;
        shape->kind = (uint8_t)row->kind;
        shape->buckets = buckets;
        shape->mask = buckets_for(row->member_count) - 1;
        for (int32_t m = 0; m < row->member_count; m++) {
            Text name = {shape->members[m].name, shape->members[m].name_size};
            uint32_t slot = hash_of(name);
            while (buckets[slot & shape->mask] != 0) slot++;
            buckets[slot & shape->mask] = (uint16_t)(m + 1);
        }
        buckets += shape->mask + 1;
    }
}

static void fill_sets(Table *table) {
    const Packed *packed = &table->packed;
    uint32_t *buckets = table->set_buckets;
    for (int32_t i = 0; i < packed->set_count; i++) {
        const int32_t *items = &packed->set_items[packed->sets[2 * i]];
        int32_t count = packed->sets[2 * i + 1];
        Set *set = &table->sets[i];
        set->buckets = buckets;
        set->mask = buckets_for(count) - 1;
        for (int32_t item = 0; item < count; item++) {
            uint32_t slot = hash_of(table->strings[items[item]]);
            while (buckets[slot & set->mask] != 0) slot++;
            buckets[slot & set->mask] = (uint32_t)items[item] + 1;
        }
        buckets += set->mask + 1;
    }
}

EXPORT void hc_table_free(Table *table) {
    if (table == NULL) return;
    free(table->strings);
    free(table->members);
    free(table->shapes);
    free(table->sets);
    free(table->member_buckets);
    free(table->set_buckets);
    free(table->shape_of_string);
    free(table->extension_of_string);
    codings_free(&table->codings);
    free(table);
}

/* Makes a table; NULL where there is no memory. What `packed` points to has to outlive it. */
EXPORT Table *hc_table_new(const Packed *packed) {
    Table *table = calloc(1, sizeof *table);
    if (table == NULL) return NULL;
    table->packed = *packed;
    size_t strings = (size_t)packed->string_count, member_room = 0, set_room = 0;
    for (int32_t i = 0; i < packed->shape_count; i++)
        member_room += buckets_for(packed->shapes[i].member_count);
    for (int32_t i = 0; i < packed->set_count; i++) set_room += buckets_for(packed->sets[2 * i + 1]);
    table->strings = calloc(strings, sizeof *table->strings);
    table->members = calloc((size_t)packed->member_count, sizeof *table->members);
    table->shapes = calloc((size_t)packed->shape_count, sizeof *table->shapes);
    table->sets = calloc((size_t)packed->set_count, sizeof *table->sets);
    table->member_buckets = calloc(member_room, sizeof *table->member_buckets);
    table->set_buckets = calloc(set_room, sizeof *table->set_buckets);
    table->shape_of_string = malloc(strings * sizeof(int32_t));
    table->extension_of_string = malloc(strings * sizeof(int32_t));
    Text code_systems = {packed->code_systems, (size_t)packed->code_systems_size};
    int has_codings = codings_fill(&table->codings, code_systems);
    if (!has_codings || !table->strings || !table->members || !table->shapes || !table->sets ||
        !table->member_buckets || !table->set_buckets || !table->shape_of_string ||
        !table->extension_of_string) {
        hc_table_free(table);
        return NULL;
    }
    memset(table->shape_of_string, 0xFF, strings * sizeof(int32_t));
    memset(table->extension_of_string, 0xFF, strings * sizeof(int32_t));
    for (size_t i = 0; i < strings; i++) {
        table->strings[i].at = packed->pool + packed->strings[2 * i];
        table->strings[i].size = (size_t)packed->strings[2 * i + 1];
    }
    for (int32_t i = 0; i < packed->member_count; i++)
        table->members[i] = member_of(table, &packed->members[i]);
    fill_shapes(table);
    fill_sets(table);
    for (int32_t i = 0; i < packed->shape_count; i++)
        table->shape_of_string[packed->shapes[i].name] = i;
    for (int32_t i = 0; i < packed->extension_count; i++)
        table->extension_of_string[packed->extensions[i].url] = i;
    return table;
}
