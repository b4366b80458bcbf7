/* Invariants as code for a small stack machine, compiled from their FHIRPath by fhir/r4/fast/rule_code.py.
 *
 * A rule's outcome is one of FHIRPath's three (true, false, empty) or "undecided", which stands for
 * any part of an expression that the compiler doesn't know. Only a rule that comes out true holds.
 */
#include "fast_path.h"
#include "operations.h"

#include <stdlib.h>
#include <string.h>

static int both(int a, int b) {
    if (a == NO || b == NO) return NO;
    if (a == UNKNOWN || b == UNKNOWN) return UNKNOWN;
    return a == EMPTY || b == EMPTY ? EMPTY : YES;
}

static int opposite(int a) { return a == YES ? NO : a == NO ? YES : a; }

static int either(int a, int b) {
    if (a == YES || b == YES) return YES;
    if (a == UNKNOWN || b == UNKNOWN) return UNKNOWN;
    return a == EMPTY || b == EMPTY ? EMPTY : NO;
}

static int same_truth(int a, int b) {
    if (a == UNKNOWN || b == UNKNOWN) return UNKNOWN;
    return a == EMPTY || b == EMPTY ? EMPTY : a == b;
}

static inline int has(const Frame *frame, int32_t element) {
    return (frame->seen >> element & 1) != 0;
}

static int matches(Text coding, Text system, const Table *table, const int32_t *codes, int32_t count) {
    int is_certain = 1;
    Text found_system = plain_string(member_in(coding, "system"), &is_certain);
    Text found_code = plain_string(member_in(coding, "code"), &is_certain);
    if (!is_certain) return UNKNOWN;
    if (!same(found_system, system)) return NO;
    for (int32_t i = 0; i < count; i++)
        if (same(found_code, table->strings[codes[i]])) return YES;
    return NO;
}

/* Whether a CodeableConcept has a coding of a system with one of some codes. */
static int has_coding(Text concept, Text system, const Table *table, const int32_t *codes,
                      int32_t count) {
    Text array = member_in(concept, "coding"), item;
    const uint8_t *position = NULL;
    int found = NO;
    while (next_item(array, &position, &item))
        found = either(found, matches(item, system, table, codes, count));
    return found;
}

/* obs-7 where both are there: no component's code shares a coding with the observation's own.
 *
 * Each coding is compared with each; with more of its own than any observation has, the thorough way
 * costs less.
 */
enum { MOST_CODINGS = 20 };
static int no_shared_coding(Text code, Text components) {
    Text own = member_in(code, "coding"), component, theirs, mine;
    const uint8_t *at = NULL;
    int is_certain = 1, count = 0;
    while (next_item(own, &at, &mine))
        if (++count > MOST_CODINGS) return UNKNOWN;
    at = NULL;
    while (next_item(components, &at, &component)) {
        Text coding = member_in(member_in(component, "code"), "coding");
        const uint8_t *inner = NULL;
        while (next_item(coding, &inner, &theirs)) {
            const uint8_t *outer = NULL;
            Text system = plain_string(member_in(theirs, "system"), &is_certain);
            Text value = plain_string(member_in(theirs, "code"), &is_certain);
            while (next_item(own, &outer, &mine)) {
                Text other = plain_string(member_in(mine, "system"), &is_certain);
                if (same(system, other) &&
                    same(value, plain_string(member_in(mine, "code"), &is_certain)))
                    return UNKNOWN;
            }
        }
    }
    return is_certain ? YES : UNKNOWN;
}

/* rng-2 where both are there: of one unit, and the low value certainly below the high one. */
static int range_in_order(Text low, Text high) {
    static const char *const units[] = {"unit", "system", "code"};
    int is_certain = 1;
    for (int i = 0; i < 3; i++)
        if (!same(plain_string(member_in(low, units[i]), &is_certain),
                  plain_string(member_in(high, units[i]), &is_certain)))
            return UNKNOWN;
    Text first = member_in(low, "value"), second = member_in(high, "value");
    char text[2][72];
    if (!is_certain || first.size == 0 || second.size == 0 || first.size > 64 || second.size > 64)
        return UNKNOWN;
    memcpy(text[0], first.at, first.size);
    memcpy(text[1], second.at, second.size);
    text[0][first.size] = text[1][second.size] = 0;
    /* Doubles may round two decimals to one value, but never put them in the wrong order. */
    return strtod(text[0], NULL) < strtod(text[1], NULL) ? YES : UNKNOWN;
}

/* Whether any of the objects in a value has a member; one with but its sibling can't be decided. */
static int has_inner(Text value, Text name, Text sibling) {
    const uint8_t *position = NULL;
    Text item = value;
    int is_list = value.at[0] == '[', found = NO;
    while (is_list ? next_item(value, &position, &item) : position == NULL) {
        if (!is_list) position = value.at;
        if (has_member(item, name)) found = YES;
        else if (found == NO && has_member(item, sibling)) found = UNKNOWN;
    }
    return found;
}

static int holds(const Table *table, const Frame *frame, const int32_t *code) {
    int stack[MAX_STACK], top = 0;
    const Text *captures = frame->captures;
    for (;;) {
        if (top >= MAX_STACK - 1) return 0;
        switch ((enum Operation)*code++) {
        case END:
            return top == 1 && stack[0] == YES;
        case PUSH_VALUE:
            stack[top++] = *code++;
            break;
        case EXISTS:
            stack[top++] = has(frame, *code++);
            break;
        case ABSENT_GIVES: /* element, outcome without it: with it the compiler can't decide */
            stack[top++] = has(frame, code[0]) ? UNKNOWN : code[1];
            code += 2;
            break;
        case EQUALS: /* element, capture, string */
            stack[top++] = has(frame, code[0]) ? same(captures[code[1]], table->strings[code[2]]) : EMPTY;
            code += 3;
            break;
        case IN: { /* element, capture, number, strings */
            int found = has(frame, code[0]) ? NO : EMPTY;
            for (int32_t i = 0; i < code[2] && found != EMPTY; i++)
                if (same(captures[code[1]], table->strings[code[3 + i]])) found = YES;
            stack[top++] = found;
            code += 3 + code[2];
            break;
        }
        case AND: top--; stack[top - 1] = both(stack[top - 1], stack[top]); break;
        case OR: top--; stack[top - 1] = either(stack[top - 1], stack[top]); break;
        case XOR: top--; stack[top - 1] = opposite(same_truth(stack[top - 1], stack[top])); break;
        case SAME: top--; stack[top - 1] = same_truth(stack[top - 1], stack[top]); break;
        case IMPLIES:
            top--;
            stack[top - 1] = either(opposite(stack[top - 1]), stack[top]);
            break;
        case NOT: stack[top - 1] = opposite(stack[top - 1]); break;
        case IS_TRUE: /* as a criterion of where(): empty counts as false */
            if (stack[top - 1] == EMPTY) stack[top - 1] = NO;
            break;
        case ABOVE_ZERO: case NOT_BELOW_ZERO: /* element, capture */
            stack[top++] = has(frame, code[0])
                               ? is_number_above(captures[code[1]], code[-1] == NOT_BELOW_ZERO)
                               : EMPTY;
            code += 2;
            break;
        case IN_ORDER: /* element and capture, twice */
            if (!has(frame, code[0]) || !has(frame, code[2])) stack[top++] = EMPTY;
            else stack[top++] = dates_in_order(captures[code[1]], captures[code[3]]) ? YES : UNKNOWN;
            code += 4;
            break;
        case HAS_CODING: /* element, capture, system, number, codes */
            stack[top++] = has(frame, code[0]) ? has_coding(captures[code[1]], table->strings[code[2]],
                                                            table, code + 4, code[3])
                                               : NO;
            code += 4 + code[3];
            break;
        case STARTS_WITH: { /* element, capture, string */
            Text value = captures[code[1]], start = table->strings[code[2]];
            stack[top++] = !has(frame, code[0]) ? EMPTY
                           : value.size >= start.size && memcmp(value.at, start.at, start.size) == 0;
            code += 3;
            break;
        }
        case CONTAINS: /* element, capture, string */
            stack[top++] = !has(frame, code[0]) ? EMPTY
                           : memmem(captures[code[1]].at, captures[code[1]].size,
                                    table->strings[code[2]].at, table->strings[code[2]].size) != NULL;
            code += 3;
            break;
        case COMPUTABLE_NAME: /* element, capture */
            stack[top++] = !has(frame, code[0]) ? EMPTY : is_computable_name(captures[code[1]]);
            code += 2;
            break;
        case RANGE_IN_ORDER: /* element and capture, twice */
            if (!has(frame, code[0]) || !has(frame, code[2])) stack[top++] = EMPTY;
            else stack[top++] = range_in_order(captures[code[1]], captures[code[3]]);
            code += 4;
            break;
        case NO_SHARED_CODING: /* code: element and capture; component: element and capture */
            stack[top++] = !has(frame, code[2]) ? YES : no_shared_coding(captures[code[1]], captures[code[3]]);
            code += 4;
            break;
        case HAS_INNER: /* element, capture, name, sibling's name */
            stack[top++] = has(frame, code[0]) ? has_inner(captures[code[1]], table->strings[code[2]],
                                                           table->strings[code[3]])
                                               : NO;
            code += 4;
            break;
        default:
            return 0;
        }
    }
}

int rules_hold(const Table *table, const Frame *frame, int32_t first, int32_t count) {
    for (int32_t i = first; i < first + count; i++)
        if (!holds(table, frame, table->packed.code + table->packed.rules[i])) return 0;
    return 1;
}

/* Whether a set of codings has one. They are `system code`: neither has a space in it. */
int has_pair(const Table *table, int32_t set, Text system, Text code) {
    char pair[256];
    if (system.size == 0 || system.size + 1 + code.size > sizeof pair) return 0;
    memcpy(pair, system.at, system.size);
    pair[system.size] = ' ';
    memcpy(pair + system.size + 1, code.at, code.size);
    Text text = {(const uint8_t *)pair, system.size + 1 + code.size};
    return string_in(table, &table->sets[set], text) >= 0;
}

/* Whether a CodeableConcept has a coding of the value set that it is bound to. */
int concept_is_bound(const Table *table, const Member *member, Text concept) {
    Text array = member_in(concept, "coding"), coding;
    const uint8_t *position = NULL;
    if (array.size == 0) return member->is_maximum;
    while (next_item(array, &position, &coding)) {
        int is_certain = 1;
        Text system = plain_string(member_in(coding, "system"), &is_certain);
        Text code = plain_string(member_in(coding, "code"), &is_certain);
        if (!is_certain || code.size == 0) continue;
        if (member->codes <= -2) {
            if (has_syntax((enum Syntax)(-2 - member->codes), code)) return 1;
            continue;
        }
        if (has_pair(table, member->codes, system, code)) return 1;
    }
    return 0;
}
