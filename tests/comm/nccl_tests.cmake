# In these tests ranks compute on GPUs. They are processes started by mpirun, over the doubles of CUDA
# and NCCL or on a machine that has a GPU for each.
set(nccl_environment ${mpi_environment} FOLIO_POISON=1)
if(FOLIO_CUDA STREQUAL HOST)
  # Open MPI does not free all its memory at exit, so LeakSanitizer is off in these processes. Other
  # tests run the same code on one rank under it.
  list(APPEND nccl_environment CUDA_VISIBLE_DEVICES=0,1,2,3 ASAN_OPTIONS=detect_leaks=0)
  target_sources(mpi_ranks PRIVATE nccl_double.cpp)
  target_include_directories(mpi_ranks PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/cuda_host)
  target_link_libraries(mpi_ranks PRIVATE ${FOLIO_CUDA_LIBRARIES} GTest::gmock)
endif()
add_dependencies(cuda_test folio mpi_ranks)  # the preset builds its targets by name

# nccl_test(NAME RANKS arguments...)
function(nccl_test name count)
  add_test(NAME cuda.nccl_${name}
           COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${count} $<TARGET_FILE:mpi_ranks> ${ARGN})
  set_tests_properties(cuda.nccl_${name} PROPERTIES TIMEOUT 120 ENVIRONMENT "${nccl_environment}"
                       SKIP_REGULAR_EXPRESSION "too few GPUs")
endfunction()
foreach(count 1 2 3 4)
  nccl_test(collectives_${count} ${count} collectives cuda)
endforeach()
if(FOLIO_CUDA STREQUAL HOST)
  nccl_test(double 2 doubles)
  nccl_test(collectives_eager 3 collectives cuda)
  set_property(TEST cuda.nccl_collectives_eager APPEND PROPERTY ENVIRONMENT CUDA_HOST_EAGER=1)
endif()
add_test(NAME cuda.nccl_training
         COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/training_test.py
                 $<TARGET_FILE:folio> $<TARGET_FILE:mpi_ranks> ${MPIEXEC_EXECUTABLE} cuda)
set_tests_properties(cuda.nccl_training PROPERTIES TIMEOUT 600 PROCESSORS 2 SKIP_RETURN_CODE 77
                     ENVIRONMENT "${nccl_environment}")
