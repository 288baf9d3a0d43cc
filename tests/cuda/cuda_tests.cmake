# The tests of a GPU build, over the doubles or on a machine that has a GPU.
set(gpu_environment CUDA_VISIBLE_DEVICES=0 OMP_WAIT_POLICY=passive)

# The tests of kernels, run with the GPU's kernels: with aligned tensors and with tensors at unaligned
# addresses. Tests of the CPU's internals are excluded.
set(cpu_tests "*Threads*:Gemm*:Block*:InstructionSet*:LibraryProduct*:Parallel*:Rows/*")
# gpu_table_test(NAME FILTER OFFSET)
function(gpu_table_test name filter offset)
  add_test(NAME kernels.cuda_${name} COMMAND kernels_test --gtest_brief=1 --gtest_filter=${filter})
  set_tests_properties(kernels.cuda_${name} PROPERTIES TIMEOUT 1500
    ENVIRONMENT "${gpu_environment};FOLIO_TEST_DEVICE=cuda;FOLIO_TEST_OFFSET=${offset};FOLIO_POISON=1"
    SKIP_REGULAR_EXPRESSION "CUDA finds no GPU here")
endfunction()
gpu_table_test(aligned "*-${cpu_tests}:Attention*" 0)
gpu_table_test(unaligned "*-${cpu_tests}:Attention*" 1)
gpu_table_test(attention "Attention*-${cpu_tests}" 0)  # slow with the test doubles

# Tests of what only the GPU has.
file(GLOB cuda_test_sources CONFIGURE_DEPENDS cuda/*_test.cpp)
if(NOT FOLIO_CUDA STREQUAL HOST)  # tests of the test doubles
  list(FILTER cuda_test_sources EXCLUDE REGEX /host_[a-z_]*\\.cpp$)
endif()
add_executable(cuda_test ${cuda_test_sources})
target_link_libraries(cuda_test PRIVATE folio_test_support folio_report folio_kernels
                      ${FOLIO_CUDA_LIBRARIES} GTest::gtest_main GTest::gmock)
if(FOLIO_CUDA STREQUAL HOST)
  target_include_directories(cuda_test PRIVATE support/cuda_host)
  target_compile_definitions(cuda_test PRIVATE FOLIO_CUDA_HOST)
  # A GPU that does not multiply bf16.
  add_test(NAME cuda.older_gpu COMMAND cuda_test --gtest_brief=1 --gtest_filter=OlderGpu.*)
  add_test(NAME kernels.cuda_older_gpu COMMAND kernels_test --gtest_brief=1
           --gtest_filter=Bf16Products*-${cpu_tests})
  set_tests_properties(cuda.older_gpu kernels.cuda_older_gpu PROPERTIES TIMEOUT 600
    ENVIRONMENT "${gpu_environment};FOLIO_TEST_DEVICE=cuda;FOLIO_HOST_CAPABILITY=75"
    FAIL_REGULAR_EXPRESSION "SKIPPED")
  # A cuDNN whose backward pass is wrong.
  add_test(NAME kernels.cuda_older_cudnn COMMAND kernels_test --gtest_brief=1
           --gtest_filter=Bf16Products.Attention*)
  set_tests_properties(kernels.cuda_older_cudnn PROPERTIES TIMEOUT 600
    ENVIRONMENT "${gpu_environment};FOLIO_TEST_DEVICE=cuda;FOLIO_HOST_CUDNN=91500"
    PASS_REGULAR_EXPRESSION "cuDNN 91500 was loaded" FAIL_REGULAR_EXPRESSION "FAILED|SKIPPED")
endif()
gtest_discover_tests(cuda_test TEST_PREFIX cuda. NO_PRETTY_VALUES TEST_FILTER -OlderGpu.* DISCOVERY_MODE PRE_TEST
                     PROPERTIES TIMEOUT 600 ENVIRONMENT "OMP_WAIT_POLICY=passive"
                     ENVIRONMENT_MODIFICATION "CUDA_VISIBLE_DEVICES=set:0")

if(NOT FOLIO_CUDA STREQUAL HOST)  # spilled registers are an error of the build
  add_test(NAME cuda.spills_are_errors
           COMMAND ${CMAKE_CUDA_COMPILER} -arch=sm_90 -maxrregcount=24
                   -Xptxas=--warn-on-spills,--warning-as-error -c
                   ${CMAKE_CURRENT_SOURCE_DIR}/cuda/spills.cu -o ${CMAKE_CURRENT_BINARY_DIR}/spills.o)
  set_tests_properties(cuda.spills_are_errors PROPERTIES TIMEOUT 60
    PASS_REGULAR_EXPRESSION "Registers are spilled to local memory")
endif()

# Makes cuDNN's plans without a GPU, if cuDNN is installed.
find_path(FOLIO_REAL_CUDNN_INCLUDE cudnn.h HINTS /usr/local/cuda/include)
find_library(FOLIO_REAL_CUDNN cudnn HINTS /usr/local/cuda/lib64)
if(FOLIO_REAL_CUDNN_INCLUDE AND FOLIO_REAL_CUDNN)
  set(kernels_cuda ${PROJECT_SOURCE_DIR}/kernels/cuda)
  add_executable(cuda_plans_check cuda/plans/plans_check.cpp ${kernels_cuda}/attention_graph.cpp
                 ${kernels_cuda}/cudnn_graph.cpp ${PROJECT_SOURCE_DIR}/tensor/error.cpp)
  target_include_directories(cuda_plans_check PRIVATE ${PROJECT_BINARY_DIR}/include/kernels
                             ${PROJECT_BINARY_DIR}/include/tensor)
  target_include_directories(cuda_plans_check SYSTEM PRIVATE ${FOLIO_REAL_CUDNN_INCLUDE})
  target_link_libraries(cuda_plans_check PRIVATE ${FOLIO_REAL_CUDNN} fmt::fmt)
  add_library(folio_driver_double SHARED cuda/plans/driver_double.cpp)
  set_target_properties(folio_driver_double PROPERTIES
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/driver_double OUTPUT_NAME cuda SUFFIX .so.1)
  target_compile_options(folio_driver_double PRIVATE -fno-sanitize=all)
  target_link_options(folio_driver_double PRIVATE -fno-sanitize=all)
  add_dependencies(cuda_plans_check folio_driver_double)
  add_dependencies(cuda_test cuda_plans_check)  # so that the preset builds it
  add_test(NAME cuda.plans COMMAND cuda_plans_check)
  set_tests_properties(cuda.plans PROPERTIES TIMEOUT 600 ENVIRONMENT
    "LD_LIBRARY_PATH=$<TARGET_FILE_DIR:folio_driver_double>;ASAN_OPTIONS=detect_leaks=0")
else()
  add_test(NAME cuda.plans COMMAND ${CMAKE_COMMAND} -E echo "there is no cuDNN here")
  set_tests_properties(cuda.plans PROPERTIES SKIP_REGULAR_EXPRESSION "there is no cuDNN here")
endif()
