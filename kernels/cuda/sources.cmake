# Adds the GPU kernels to the folder's library. nvcc compiles *.cu files; over the test doubles the C++
# compiler does.
file(GLOB cuda_sources CONFIGURE_DEPENDS cuda/*.cpp cuda/*.cu)
target_sources(folio_kernels PRIVATE ${cuda_sources})
target_compile_definitions(folio_kernels PRIVATE FOLIO_HAVE_CUDA=1)
target_link_libraries(folio_kernels PRIVATE ${FOLIO_CUDA_LIBRARIES})
if(FOLIO_CUDA STREQUAL HOST)
  file(GLOB kernel_sources CONFIGURE_DEPENDS cuda/*.cu)
  set_source_files_properties(${kernel_sources} PROPERTIES LANGUAGE CXX)
else()
  target_include_directories(folio_kernels SYSTEM PRIVATE ${CUDNN_INCLUDE_DIR})
  # Kernels call constexpr host functions, such as those of Philox and bf16.
  target_compile_options(folio_kernels PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr -Xcompiler=-Wall,-Wextra
    -Xptxas=--warn-on-spills>)
  if(FOLIO_WERROR)
    target_compile_options(folio_kernels PRIVATE
      "$<$<COMPILE_LANGUAGE:CUDA>:SHELL:-Werror all-warnings -Xptxas=--warning-as-error>")
  endif()
endif()
