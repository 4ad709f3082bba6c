/* Results as sentences. */
#include <deputy/result.h>

const char *deputy_result_text(enum deputy_result result)
{
    switch (result) {
    case DEPUTY_OK:
        return "all is well";
    case DEPUTY_ERR_ARGUMENT:
        return "the call was wrong: see the header for what this function takes";
    case DEPUTY_ERR_SETTING:
        return "the configuration cannot be used: deputy_config_fault() says which setting to change";
    case DEPUTY_ERR_MEMORY:
        return "out of memory";
    case DEPUTY_ERR_AUDIT:
        return "the audit directory cannot be used: make it writable for this process alone, and use it in one process "
               "only";
    case DEPUTY_ERR_SYSTEM:
        return "no more threads or descriptors: raise the limits of this process";
    case DEPUTY_ERR_DOCUMENT:
        return "what the issuer answered cannot be used: look at the issuer; it is asked again";
    case DEPUTY_ERR_TIMEOUT:
        return "not in time: deputy_guard_trouble() says what is missing";
    }
    return "a result that this version does not know";
}

const char *deputy_version(void)
{
    return DEP_VERSION;
}
