# SPDX-License-Identifier: MIT
# Defines the target pulse::pulse: the headers, C++20, Boost.Hana and threads. Read by find_package(pulse) where Pulse is installed, and by the
# CMakeLists.txt of a checkout; it finds the headers from where it stands, so that an installed tree can be moved.
#
# PULSE_HANA_INCLUDE_DIR names the folder that holds boost/hana. Without it, a target Boost::hana or Boost::headers that the project has is
# used; else it is searched in CMake's usual places.
if(TARGET pulse::pulse)
  return()
endif()

if(PULSE_HANA_INCLUDE_DIR)
  set(_pulse_hana "")
elseif(TARGET Boost::hana)
  set(_pulse_hana Boost::hana)
elseif(TARGET Boost::headers)
  set(_pulse_hana Boost::headers)
else()
  set(_pulse_hana "")
  find_path(PULSE_HANA_INCLUDE_DIR boost/hana/tuple.hpp DOC "The folder that holds boost/hana")
endif()
if(NOT PULSE_HANA_INCLUDE_DIR AND NOT _pulse_hana)
  set(pulse_NOT_FOUND_MESSAGE
    "Boost.Hana is not found: install Boost (Debian: libboost1.81-dev), or say -DPULSE_HANA_INCLUDE_DIR=DIR where DIR/boost/hana is")
  if("${CMAKE_FIND_PACKAGE_NAME}" STREQUAL pulse)
    set(pulse_FOUND FALSE)
    return()
  endif()
  message(FATAL_ERROR "pulse: ${pulse_NOT_FOUND_MESSAGE}")
endif()

find_package(Threads REQUIRED)
foreach(_pulse_place "${CMAKE_CURRENT_LIST_DIR}" "${CMAKE_CURRENT_LIST_DIR}/../../../include" "@INCLUDE_DIR@")
  if(EXISTS "${_pulse_place}/pulse/version.hpp")
    get_filename_component(_pulse_include "${_pulse_place}" ABSOLUTE)
    break()
  endif()
endforeach()

add_library(pulse::pulse INTERFACE IMPORTED GLOBAL)
target_compile_features(pulse::pulse INTERFACE cxx_std_20)
target_include_directories(pulse::pulse INTERFACE "${_pulse_include}")
target_link_libraries(pulse::pulse INTERFACE Threads::Threads ${_pulse_hana})
if(NOT _pulse_hana)
  target_include_directories(pulse::pulse SYSTEM INTERFACE "${PULSE_HANA_INCLUDE_DIR}")
endif()
