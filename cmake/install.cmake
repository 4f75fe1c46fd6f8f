# What an installed libtca and tca consist of: headers, library, package files, the program, its default model and texts.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

if(BUILD_SHARED_LIBS)
  set(library tca_shared)
  set(tca_config_dependencies "")
  set(tca_pc_libs "-L\${libdir} -ltca")
  set(tca_pc_requires "")
else()
  set(library tca)
  set(tca_config_dependencies "find_dependency(Threads)\nfind_dependency(hwy)")
  set(tca_pc_libs "-L\${libdir} -ltca -lstdc++ -lm -pthread")
  set(tca_pc_requires "libhwy")
  if(TCA_WITH_CUDA)
    string(APPEND tca_config_dependencies "\nfind_dependency(CUDAToolkit)")
    list(GET CUDAToolkit_LIBRARY_DIR 0 cuda_library_dir)
    string(APPEND tca_pc_libs " -L${cuda_library_dir} -lcudart_static -ldl -lrt")
  endif()
endif()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tca)
install(TARGETS ${library} EXPORT tcaTargets)
install(DIRECTORY include/tca DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT tcaTargets NAMESPACE tca:: DESTINATION ${package_dir})
configure_package_config_file(cmake/tcaConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/tcaConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/tcaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/tcaConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/tcaConfigVersion.cmake
        DESTINATION ${package_dir})

# The .pc file finds its prefix from where it lies, so that an installed tree can be moved.
file(RELATIVE_PATH tca_pc_prefix /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/tca.pc.in ${CMAKE_CURRENT_BINARY_DIR}/tca.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/tca.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(TCA_BUILD_PROGRAM)
  install(TARGETS tca_cli)
  install(DIRECTORY models/lookback-28m DESTINATION ${CMAKE_INSTALL_DATADIR}/tca/models PATTERN training EXCLUDE)
  install(DIRECTORY examples/data/ DESTINATION ${CMAKE_INSTALL_DATADIR}/tca/data)
endif()
