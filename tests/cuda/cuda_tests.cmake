# The tests of a build for GPUs: over the doubles, or on a machine that has one.

# Every test of the kernels' table, for the GPU's: with memory as it comes, and with tensors that begin
# at odd places. What tests the CPU's own parts stays out.
set(table_tests "*-*Threads*:Gemm*:*FewRows*:InstructionSet*:LibraryProduct*:Parallel*:Rows/*:BlockGemm*:Pieces*")
add_test(NAME kernels.cuda COMMAND kernels_test --gtest_brief=1 --gtest_filter=${table_tests})
add_test(NAME kernels.cuda_unaligned COMMAND kernels_test --gtest_brief=1 --gtest_filter=${table_tests})
set_tests_properties(kernels.cuda PROPERTIES TIMEOUT 600
  ENVIRONMENT "FOLIO_TEST_DEVICE=cuda;OMP_WAIT_POLICY=passive")
set_tests_properties(kernels.cuda_unaligned PROPERTIES TIMEOUT 600
  ENVIRONMENT "FOLIO_TEST_DEVICE=cuda;FOLIO_TEST_OFFSET=1;OMP_WAIT_POLICY=passive")

folio_test(cuda folio_kernels folio_tensor ${FOLIO_CUDA_LIBRARIES})
