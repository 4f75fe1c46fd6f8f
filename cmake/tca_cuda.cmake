# CUDA: which of the code for GPUs is built. Leaves for everything below: TCA_WITH_CUDA (kernels and backend) and
# TCA_WITH_CUDA_MODELS (whole models on a GPU, which takes cuBLASLt as well).
set(TCA_CUDA AUTO CACHE STRING "Code for NVIDIA GPUs: AUTO (when there is nvcc 12.4 or newer), ON or OFF")
set_property(CACHE TCA_CUDA PROPERTY STRINGS AUTO ON OFF)
# Machine code for compute capability 8.0 also runs on 8.6 and 8.9; PTX of 9.0 is what later GPUs compile for themselves
# at the first start. Every architecture more costs every build a pass of ptxas.
set(TCA_CUDA_ARCHITECTURES "80-real;90" CACHE STRING
    "CUDA architectures of all kernels but those of src/cuda/sm90, which are for 90a alone")
set(_tca_least_nvcc 12.4)
set(TCA_WITH_CUDA OFF)
set(TCA_WITH_CUDA_MODELS OFF)

if(TCA_CUDA STREQUAL "AUTO" OR TCA_CUDA)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES ${TCA_CUDA_ARCHITECTURES})
  endif()
  include(CheckLanguage)
  check_language(CUDA)
  set(_tca_why "no working nvcc found")
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    set(_tca_why "${CMAKE_CUDA_COMPILER} is version ${CMAKE_CUDA_COMPILER_VERSION}")
    if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL _tca_least_nvcc)
      set(TCA_WITH_CUDA ON)
    endif()
  endif()
  if(TCA_WITH_CUDA)
    find_package(CUDAToolkit REQUIRED QUIET)
  elseif(TCA_CUDA STREQUAL "AUTO")
    message(STATUS "CUDA: left out (${_tca_why}; ${_tca_least_nvcc} or newer is needed)")
  else()
    message(FATAL_ERROR "TCA_CUDA=${TCA_CUDA}, but ${_tca_why}. Install nvcc ${_tca_least_nvcc} or newer and put it into "
                        "PATH (or name it: -DCMAKE_CUDA_COMPILER=.../nvcc), or leave CUDA out: -DTCA_CUDA=OFF")
  endif()
endif()

if(TCA_WITH_CUDA)
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_EXTENSIONS OFF)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know yet that nvcc 12 has C++20
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  endif()
  set(CMAKE_CUDA_RUNTIME_LIBRARY None)  # linked by name, where it is used
  set(CMAKE_CUDA_ARCHITECTURES ${TCA_CUDA_ARCHITECTURES})
  if(CMAKE_CXX_COMPILER_LAUNCHER AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
  endif()

  # The header, from the toolkit or from CMAKE_PREFIX_PATH (the folder of Python's package nvidia-cublas will do); the
  # library is opened at run time.
  find_path(cublasLt_INCLUDE_DIR cublasLt.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
  string(REGEX MATCH "^[0-9]+" _tca_cuda_major ${CUDAToolkit_VERSION})
  find_library(cublasLt_LIBRARY NAMES libcublasLt.so.${_tca_cuda_major} HINTS ${CUDAToolkit_LIBRARY_DIR})
  mark_as_advanced(cublasLt_INCLUDE_DIR cublasLt_LIBRARY)
  if(cublasLt_INCLUDE_DIR)
    set(TCA_WITH_CUDA_MODELS ON)
    set(cublasLt_folder "")
    if(cublasLt_LIBRARY)
      get_filename_component(cublasLt_folder ${cublasLt_LIBRARY} DIRECTORY)
    endif()
  endif()
endif()
