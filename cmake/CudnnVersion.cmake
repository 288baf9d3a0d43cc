# Reads cuDNN's version from the cudnn_version.h in a folder: "9.19.0", or "unknown". Before 9.15.1,
# attention's backward pass is wrong for lengths that are not multiples of 128, unless a padding mask is
# used, as NVIDIA's cudnn-frontend does; cudnn-frontend refuses 9.10.0 and 9.10.1 altogether.
# kernels/cuda/attention_cudnn.h checks the version of the library that is loaded.
set(FOLIO_CUDNN_OLDEST 9.15.1)

function(folio_cudnn_version folder result)
  set(version unknown)
  if(EXISTS "${folder}/cudnn_version.h")
    file(READ "${folder}/cudnn_version.h" header)
    set(numbers "")
    foreach(part MAJOR MINOR PATCHLEVEL)
      if(header MATCHES "#define[ \t]+CUDNN_${part}[ \t]+([0-9]+)")
        list(APPEND numbers ${CMAKE_MATCH_1})
      endif()
    endforeach()
    list(LENGTH numbers found)
    if(found EQUAL 3)
      list(JOIN numbers "." version)
    endif()
  endif()
  set(${result} ${version} PARENT_SCOPE)
endfunction()
