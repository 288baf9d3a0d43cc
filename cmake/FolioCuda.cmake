# FOLIO_CUDA is ON, OFF, AUTO (on if there are a CUDA toolkit, cuDNN and a GPU's driver), or HOST (the
# GPU sources as plain C++, over the test doubles of tests/support/cuda_host). Sets FOLIO_HAVE_CUDA and
# FOLIO_CUDA_LIBRARIES; if several ranks may have GPUs, also FOLIO_HAVE_NCCL and NCCL_LIBRARY.
set(FOLIO_CUDA AUTO CACHE STRING "Compute on NVIDIA GPUs: AUTO, ON, OFF, or HOST (test doubles)")
set_property(CACHE FOLIO_CUDA PROPERTY STRINGS AUTO ON OFF HOST)
set(FOLIO_HAVE_CUDA OFF)
set(FOLIO_CUDA_LIBRARIES "")
set(FOLIO_HAVE_NCCL OFF)

include(CudnnVersion)

# A machine that only builds has no driver, and compiling for five GPU architectures would only slow
# each of its builds.
set(folio_cuda_wanted ${FOLIO_CUDA})
if(FOLIO_CUDA STREQUAL AUTO)
  set(folio_cuda_wanted OFF)
  if(EXISTS /dev/nvidia0 OR EXISTS /dev/dxg)
    set(folio_cuda_wanted MAYBE)
  endif()
endif()

if(folio_cuda_wanted STREQUAL HOST)
  set(FOLIO_HAVE_CUDA ON)
  add_subdirectory(tests/support/cuda_host)
  set(FOLIO_CUDA_LIBRARIES $<BUILD_INTERFACE:folio_cuda_host>)
  set(FOLIO_HAVE_NCCL ON)  # the doubles have it
elseif(folio_cuda_wanted)
  include(CheckLanguage)
  check_language(CUDA)
  find_package(CUDAToolkit 12 QUIET)
  find_path(CUDNN_INCLUDE_DIR cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
  find_library(CUDNN_LIBRARY cudnn HINTS ${CUDAToolkit_LIBRARY_DIR})
  folio_cudnn_version("${CUDNN_INCLUDE_DIR}" CUDNN_VERSION)
  if(CMAKE_CUDA_COMPILER AND CUDAToolkit_FOUND AND CUDNN_INCLUDE_DIR AND CUDNN_LIBRARY
     AND CUDNN_VERSION VERSION_GREATER_EQUAL ${FOLIO_CUDNN_OLDEST})
    # The last one is also compiled to PTX, which the driver compiles for later GPUs.
    if(NOT CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90)
    endif()
    if(FOLIO_CCACHE AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
      set(CMAKE_CUDA_COMPILER_LAUNCHER ${FOLIO_CCACHE})
    endif()
    enable_language(CUDA)
    set(CMAKE_CUDA_STANDARD 20)
    set(CMAKE_CUDA_EXTENSIONS OFF)
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc has it
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    endif()
    set(FOLIO_HAVE_CUDA ON)
    set(FOLIO_CUDA_LIBRARIES CUDA::cudart_static CUDA::cublasLt ${CUDNN_LIBRARY})
    message(STATUS "CUDA ${CUDAToolkit_VERSION}, cuDNN ${CUDNN_VERSION}, for "
                   "${CMAKE_CUDA_ARCHITECTURES}")
    find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
    find_library(NCCL_LIBRARY nccl HINTS ${CUDAToolkit_LIBRARY_DIR} ${CUDAToolkit_LIBRARY_ROOT}/lib)
    if(NCCL_INCLUDE_DIR AND NCCL_LIBRARY AND MPI_CXX_FOUND)
      set(FOLIO_HAVE_NCCL ON)
    else()
      message(STATUS "GPUs of several ranks need NCCL (NVIDIA's libnccl-dev: ${NCCL_LIBRARY}) and "
                     "MPI: Folio will use one GPU, in one process")
    endif()
  elseif(FOLIO_CUDA STREQUAL ON)
    message(FATAL_ERROR "FOLIO_CUDA is ON, but something is missing: nvcc (${CMAKE_CUDA_COMPILER}), "
                        "the CUDA toolkit 12 or later (${CUDAToolkit_VERSION}), cuDNN "
                        "${FOLIO_CUDNN_OLDEST} or later (${CUDNN_VERSION}: ${CUDNN_INCLUDE_DIR}, "
                        "${CUDNN_LIBRARY})")
  else()
    message(STATUS "There is a GPU, but not all of nvcc (${CMAKE_CUDA_COMPILER}), the CUDA toolkit 12 "
                   "or later (${CUDAToolkit_VERSION}) and cuDNN ${FOLIO_CUDNN_OLDEST} or later "
                   "(${CUDNN_VERSION}: ${CUDNN_INCLUDE_DIR}, ${CUDNN_LIBRARY}): built for the CPU")
  endif()
endif()
