// The devices that tensors are on.
#pragma once

#include <cstdint>
#include <string_view>

namespace folio {

/// cuda: the process's NVIDIA GPU, see cuda.h.
enum class Device : uint8_t { cpu, cuda };

constexpr std::string_view name_of(Device device) { return device == Device::cpu ? "cpu" : "cuda"; }

}  // namespace folio
