/* The stack machine's operations, and the outcomes of rules. */
#ifndef HC_OPERATIONS_H
#define HC_OPERATIONS_H

enum { NO, YES, EMPTY, UNKNOWN, TRUTH_COUNT };

/* The order is that of rule_code.OPERATIONS. */
enum Operation {
    END, PUSH_VALUE, EXISTS, ABSENT_GIVES, EQUALS, IN, AND, OR, XOR, IMPLIES, NOT, IS_TRUE, SAME,
    ABOVE_ZERO, NOT_BELOW_ZERO, IN_ORDER, HAS_CODING, STARTS_WITH, CONTAINS, COMPUTABLE_NAME,
    RANGE_IN_ORDER, NO_SHARED_CODING, HAS_INNER,
    OPERATION_COUNT,
};

#endif
