/* The libFuzzer way: the engine brings main(). */
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    dep_fuzz_one(data, size);
    return 0;
}
