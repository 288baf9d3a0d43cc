// Where a tensor's memory lies.
#pragma once

#include <cstdint>
#include <string_view>

namespace folio {

enum class Device : uint8_t { cpu };

constexpr std::string_view name_of(Device device) {
  switch (device) {
    case Device::cpu: return "cpu";
  }
  return "?";
}

}  // namespace folio
