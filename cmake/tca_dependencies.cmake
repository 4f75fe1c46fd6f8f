# Everything the build needs from outside, looked for in one place, so that a missing one is one clear line.
set(_tca_missing_names "")
set(_tca_missing_packages "")

macro(_tca_note_if_missing found name debian_package)
  if(NOT ${found})
    list(APPEND _tca_missing_names "${name}")
    list(APPEND _tca_missing_packages ${debian_package})
  endif()
endmacro()

# _tca_find_library(TARGET header library): an imported target for a library that ships no usable package file.
function(_tca_find_library target header library)
  find_path(${library}_INCLUDE_DIR ${header})
  find_library(${library}_LIBRARY ${library})
  mark_as_advanced(${library}_INCLUDE_DIR ${library}_LIBRARY)
  if(${library}_INCLUDE_DIR AND ${library}_LIBRARY AND NOT TARGET ${target})
    add_library(${target} UNKNOWN IMPORTED)
    set_target_properties(${target} PROPERTIES IMPORTED_LOCATION "${${library}_LIBRARY}"
                                               INTERFACE_INCLUDE_DIRECTORIES "${${library}_INCLUDE_DIR}")
  endif()
endfunction()

# libtca
find_package(Threads REQUIRED)
find_package(hwy QUIET)
_tca_note_if_missing(hwy_FOUND "Highway" libhwy-dev)
find_package(nlohmann_json 3.10 QUIET)
_tca_note_if_missing(nlohmann_json_FOUND "nlohmann/json" nlohmann-json3-dev)

# The program and the runtime. oneDNN's own package file asks for OpenCL, which nothing here uses.
if(TCA_BUILD_PROGRAM)
  _tca_find_library(DNNL::dnnl oneapi/dnnl/dnnl.hpp dnnl)
  _tca_note_if_missing(dnnl_LIBRARY "oneDNN" libdnnl-dev)
  _tca_find_library(PCRE2::pcre2-8 pcre2.h pcre2-8)
  _tca_note_if_missing(pcre2-8_LIBRARY "PCRE2" libpcre2-dev)
  _tca_find_library(utf8proc::utf8proc utf8proc.h utf8proc)
  _tca_note_if_missing(utf8proc_LIBRARY "utf8proc" libutf8proc-dev)
  find_package(CLI11 QUIET)
  _tca_note_if_missing(CLI11_FOUND "CLI11" libcli11-dev)
  find_package(fmt QUIET)
  _tca_note_if_missing(fmt_FOUND "fmt" libfmt-dev)
endif()

if(TCA_DEVELOPER_MODE)
  find_package(GTest QUIET)
  _tca_note_if_missing(GTest_FOUND "GoogleTest" libgtest-dev)
  find_package(benchmark QUIET)
  _tca_note_if_missing(benchmark_FOUND "Google Benchmark" libbenchmark-dev)
endif()

if(_tca_missing_names)
  list(JOIN _tca_missing_names ", " _tca_missing_names)
  list(JOIN _tca_missing_packages " " _tca_missing_packages)
  message(FATAL_ERROR "Not found: ${_tca_missing_names}. On Debian: apt-get install ${_tca_missing_packages}")
endif()
