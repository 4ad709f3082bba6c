/* Numbers from text, with a range: the one place where digits become integers. */
#ifndef DEP_BASE_NUM_H
#define DEP_BASE_NUM_H

#include <stdint.h>

#include "base/res.h"
#include "base/str.h"

/* Decimal digits with an optional leading '-', no blanks, no '+', no leading zeros; DEP_ERR_NUM_SYNTAX or DEP_ERR_NUM_RANGE. */
DEP_MUST struct dep_res dep_num_parse(struct dep_str text, int64_t min, int64_t max, int64_t *ret_value);

/* The value of a hexadecimal digit in either case; -1: it is none. */
int dep_hex_digit(char c);

#endif
