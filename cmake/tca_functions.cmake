# One folder, one target. Layers are named in src/CMakeLists.txt; links are PRIVATE so that nothing leaks upward.

# Warnings are errors with the compilers CI uses; newer ones warn about more, and sanitizers confuse gcc's flow analysis.
set(tca_warnings_are_errors OFF)
if(TCA_DEVELOPER_MODE AND NOT TCA_SANITIZE)
  if((CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION MATCHES "^12\\.")
     OR (CMAKE_CXX_COMPILER_ID STREQUAL Clang AND CMAKE_CXX_COMPILER_VERSION MATCHES "^14\\."))
    set(tca_warnings_are_errors ON)
  endif()
endif()

function(_tca_setup target)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
  # What nvcc hands to the host's compiler is partly generated; -Wall alone is quiet about that part.
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wshadow;-Wnon-virtual-dtor>
    $<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr;-Xcompiler=-Wall>)
  set_target_properties(${target} PROPERTIES COMPILE_WARNING_AS_ERROR ${tca_warnings_are_errors})
  if(TCA_WITH_CUDA)
    target_compile_definitions(${target} PRIVATE TCA_WITH_CUDA)
    target_include_directories(${target} SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
  endif()
  if(TCA_WITH_CUDA_MODELS)
    target_compile_definitions(${target} PRIVATE TCA_WITH_CUDA_MODELS)
  endif()
endfunction()

macro(_tca_nothing_yet sources)
  if(NOT ${sources})
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/nothing_yet.cc "")
    set(${sources} ${CMAKE_CURRENT_BINARY_DIR}/nothing_yet.cc)
  endif()
endmacro()

# tca_add_layer(NAME SOURCES ... [LINKS ...]): an object library tca_NAME, part of libtca. Only what is marked TCA_API
# is visible outside a shared libtca.
function(tca_add_layer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  _tca_nothing_yet(ARG_SOURCES)
  add_library(tca_${name} OBJECT ${ARG_SOURCES})
  target_link_libraries(tca_${name} PRIVATE ${ARG_LINKS})
  set_target_properties(tca_${name} PROPERTIES CXX_VISIBILITY_PRESET hidden CUDA_VISIBILITY_PRESET hidden
                                                VISIBILITY_INLINES_HIDDEN ON)
  _tca_setup(tca_${name})
endfunction()

# tca_add_runtime_layer(NAME SOURCES ... [LINKS ...]): a static library tca_NAME above libtca.
function(tca_add_runtime_layer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  _tca_nothing_yet(ARG_SOURCES)
  add_library(tca_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(tca_${name} PRIVATE ${ARG_LINKS})
  _tca_setup(tca_${name})
endfunction()

# tca_add_test(NAME SOURCES ... [LINKS ...] [LABELS ...] [TIMEOUT s]): a GoogleTest program, one ctest entry per test
# case. It may include from src/ and tests/. Its label is unit; or threads, for what works on several threads, which the
# thread sanitizer runs (target threaded_tests); or gpu, for what skips itself without one.
function(tca_add_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINKS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS} tca GTest::gtest_main)
  _tca_setup(${name})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${name} PRIVATE TCA_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  if(TCA_SANITIZE)
    math(EXPR ARG_TIMEOUT "5 * ${ARG_TIMEOUT}") # sanitizers make models many times slower
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  if(ARG_LABELS STREQUAL threads)
    add_dependencies(threaded_tests ${name})
  endif()
  include(GoogleTest)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
                       PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()
