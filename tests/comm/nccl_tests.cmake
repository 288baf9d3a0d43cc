# Ranks that compute on GPUs, over the doubles of CUDA and NCCL: processes that mpirun starts.
#
# Open MPI keeps memory when it ends, which LeakSanitizer would call leaks: it does not look in these
# processes. All that they do on one rank is done by other tests under it.
target_sources(mpi_ranks PRIVATE nccl_double.cpp)
target_include_directories(mpi_ranks PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/cuda_host)
target_link_libraries(mpi_ranks PRIVATE ${FOLIO_CUDA_LIBRARIES} GTest::gmock)

set(nccl_environment ${mpi_environment} CUDA_VISIBLE_DEVICES=0,1,2,3 ASAN_OPTIONS=detect_leaks=0
    FOLIO_POISON=1)
# nccl_test(NAME RANKS arguments...)
function(nccl_test name count)
  add_test(NAME cuda.nccl_${name}
           COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${count} $<TARGET_FILE:mpi_ranks> ${ARGN})
  set_tests_properties(cuda.nccl_${name} PROPERTIES TIMEOUT 120 ENVIRONMENT "${nccl_environment}")
endfunction()
foreach(count 1 2 3 4)
  nccl_test(collectives_${count} ${count} collectives cuda)
endforeach()
nccl_test(double 2 doubles)
add_test(NAME cuda.nccl_training
         COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/training_test.py
                 $<TARGET_FILE:folio> $<TARGET_FILE:mpi_ranks> ${MPIEXEC_EXECUTABLE} cuda)
set_tests_properties(cuda.nccl_training PROPERTIES TIMEOUT 600 PROCESSORS 2
                     ENVIRONMENT "${nccl_environment}")
