# folio_embed_files(TARGET FILES...)
# Compiles text files into TARGET. Each becomes a constant `folio::NAME`, where NAME is the file's name
# with "_" for every character that an identifier cannot have: assets/page.css is folio::page_css. A
# header of the folder declares them as `extern const std::string_view NAME;`.
#
# At build time this file runs as a script: cmake -D OUTPUT=... -D "FILES=..." -P EmbedFiles.cmake

if(CMAKE_SCRIPT_MODE_FILE)
  set(code "#include <string_view>\n\nnamespace folio {\n")
  foreach(file IN LISTS FILES)
    get_filename_component(name ${file} NAME)
    string(MAKE_C_IDENTIFIER ${name} name)
    file(READ ${file} text)
    string(APPEND code "extern const std::string_view ${name};\n"
                       "const std::string_view ${name} = R\"embed(${text})embed\";\n")
  endforeach()
  file(WRITE ${OUTPUT} "${code}}  // namespace folio\n")
  return()
endif()

set(FOLIO_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})

function(folio_embed_files target)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${target}_assets.cpp)
  list(TRANSFORM ARGN PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/ OUTPUT_VARIABLE files)
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -D OUTPUT=${output} -D "FILES=${files}" -P ${FOLIO_EMBED_SCRIPT}
    DEPENDS ${files} ${FOLIO_EMBED_SCRIPT} VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()
