# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
#
# etran_test(NAME foo_test SOURCES foo_test.cc LIBS foo)    a GoogleTest program, known to ctest
# etran_bench(NAME foo_bench SOURCES foo_bench.cc LIBS foo) a Google Benchmark program; ctest only
#                                                           checks that it runs (label "bench")
if(ETRAN_TESTS)
  find_package(GTest REQUIRED)
  find_package(benchmark REQUIRED)
  include(GoogleTest)
endif()

function(etran_test)
  if(NOT ETRAN_TESTS)
    return()
  endif()
  cmake_parse_arguments(T "" "NAME" "SOURCES;LIBS" ${ARGN})
  add_executable(${T_NAME} ${T_SOURCES})
  target_link_libraries(${T_NAME} PRIVATE ${T_LIBS} GTest::gmock GTest::gtest GTest::gtest_main
                                          Threads::Threads)
  set_target_properties(${T_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
  gtest_discover_tests(${T_NAME} PROPERTIES TIMEOUT 300)
endfunction()

function(etran_bench)
  if(NOT ETRAN_TESTS)
    return()
  endif()
  cmake_parse_arguments(T "" "NAME" "SOURCES;LIBS" ${ARGN})
  add_executable(${T_NAME} ${T_SOURCES})
  target_link_libraries(${T_NAME} PRIVATE ${T_LIBS} benchmark::benchmark benchmark::benchmark_main
                                          Threads::Threads)
  set_target_properties(${T_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
  add_test(NAME ${T_NAME}__runs COMMAND ${T_NAME} --benchmark_min_time=0.001)
  set_tests_properties(${T_NAME}__runs PROPERTIES LABELS bench TIMEOUT 120)
endfunction()
