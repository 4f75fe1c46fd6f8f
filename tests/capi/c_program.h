/* A whole turn through the C API, as a C program would take it. */
#ifndef TCA_TESTS_CAPI_C_PROGRAM_H_
#define TCA_TESTS_CAPI_C_PROGRAM_H_

#ifdef __cplusplus
extern "C" {
#endif

/* Uses the backend of that name and writes one file to path. NULL when all went well, else what did not. */
const char* run_c_program(const char* backend_name, const char* path);

#ifdef __cplusplus
}
#endif

#endif /* TCA_TESTS_CAPI_C_PROGRAM_H_ */
