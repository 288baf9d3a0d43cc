# The version of cuDNN whose headers lie in a folder, by its cudnn_version.h: "9.19.0", or "unknown".
# Before 9.15.1 attention's backward pass of lengths that are not multiples of 128 is wrong without the
# padding mask by which NVIDIA's cudnn-frontend works around it; 9.10.0 and 9.10.1 it refuses altogether.
# kernels/cuda/attention_cudnn.h asks the library that is loaded for the same.
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
