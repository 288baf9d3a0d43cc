#include "folio/inspect/profile.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <numeric>
#include <span>

#include "folio/autograd/observer.h"
#include "folio/inspect/plan.h"
#include "folio/inspect/profile_kernels.h"
#include "folio/inspect/profile_limits.h"
#include "folio/kernels/kernels.h"
#include "folio/kernels/process.h"
#include "folio/tensor/error.h"
#include "folio/train/device_choice.h"
#include "folio/train/trainer.h"

namespace folio {
namespace {

constexpr size_t no_row = static_cast<size_t>(-1);

/// Finds the row that each kernel call of a step belongs to. Calls belong to the next op that ends.
class CallOwners : public TapeObserver {
 public:
  explicit CallOwners(const KernelClock& clock) : clock_(clock) {}

  void after_forward(const char* op, std::span<const Variable>,
                     std::span<const Variable>) override {
    assign_calls(row_of(op, "forward"));
  }
  // Calls between ops belong to none: the fill of the first gradient, the sum of the losses.
  void before_backward(const char*, std::span<GradSlot* const>) override { assign_calls(no_row); }
  void after_backward(const char* op, std::span<GradSlot* const>,
                      std::span<GradSlot* const>) override {
    assign_calls(row_of(op, "backward"));
  }

  /// Must be called after the step. The last calls belong to the optimizer.
  void finish() { assign_calls(row_of("optimizer", "")); }

  std::vector<ProfileRow>& rows() { return rows_; }
  /// The row of each call, or no_row.
  const std::vector<size_t>& owners() const { return owners_; }

 private:
  size_t row_of(const std::string& name, const std::string& pass) {
    size_t i = 0;
    while (i < rows_.size() && (rows_[i].name != name || rows_[i].pass != pass)) ++i;
    if (i == rows_.size()) rows_.push_back({.name = name, .pass = pass});
    ++rows_[i].calls;
    return i;
  }
  void assign_calls(size_t row) { owners_.resize(clock_.work().size(), row); }

  const KernelClock& clock_;
  std::vector<ProfileRow> rows_;
  std::vector<size_t> owners_;
};

/// A step with the times of its kernel calls.
struct TimedStep {
  StepResult result;
  std::vector<double> seconds;  // of each kernel call
};

/// Fills the FLOPs, the bytes and the times that the machine needs for them at least.
void add_work(Profile& profile, const CallOwners& owners, const KernelClock& clock) {
  MachineLimits limits(profile.device);
  for (size_t call = 0; call < clock.work().size(); ++call) {
    const KernelWork& work = clock.work()[call];
    ProfileRow unowned;
    const size_t owner = owners.owners()[call];
    ProfileRow& row = owner == no_row ? unowned : profile.rows[owner];
    row.bytes += work.bytes;
    row.flops += work.flops();
    row.copy_seconds += limits.copy_seconds(work.bytes);
    for (const PartialProduct& part : work.products) {
      const double seconds = limits.product_seconds(part.product);
      row.product_seconds += part.share * seconds;
      auto same = std::ranges::find(profile.products, part.product, &ProductTime::product);
      if (same == profile.products.end()) {
        profile.products.push_back({part.product, 0.0, seconds});
        same = std::prev(profile.products.end());
      }
      same->times += part.share;
    }
  }
  for (const ProductTime& product : profile.products) {
    profile.product_seconds += product.times * product.seconds;
  }
}

/// Fills the times, which add up to that of the step. They are means over the faster half of the
/// steps, which other processes have slowed least.
void add_times(Profile& profile, const CallOwners& owners, std::vector<TimedStep> steps) {
  std::ranges::sort(steps, {}, [](const TimedStep& step) { return step.result.seconds; });
  steps.resize((steps.size() + 1) / 2);
  const double weight = 1.0 / static_cast<double>(steps.size());
  const size_t optimizer = profile.rows.size() - 1;  // measured as a whole on the host
  for (const TimedStep& step : steps) {
    profile.step_seconds += weight * step.result.seconds;
    profile.batch_seconds += weight * step.result.batch_seconds;
    profile.rows[optimizer].seconds += weight * step.result.optimizer_seconds;  // a GPU's: 0
    for (size_t call = 0; call < step.seconds.size(); ++call) {
      const size_t owner = owners.owners()[call];
      const bool counts =
          owner < optimizer || (owner == optimizer && profile.device == Device::cuda);
      if (counts) profile.rows[owner].seconds += weight * step.seconds[call];
    }
  }
  profile.tape_seconds = profile.step_seconds - profile.batch_seconds;
  for (const ProfileRow& row : profile.rows) profile.tape_seconds -= row.seconds;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t n = values.size();
  return (values[(n - 1) / 2] + values[n / 2]) / 2.0;
}

}  // namespace

double Profile::flops() const {
  return std::accumulate(rows.begin(), rows.end(), 0.0,
                         [](double sum, const ProfileRow& row) { return sum + row.flops; });
}

Profile profile(const Config& given, int64_t steps) {
  FOLIO_CHECK(steps >= 1, "profile", "{} steps were asked for; at least 1 is needed", steps);
  Trainer trainer(given);
  const Device device = trainer.parameters().device();
  const Kernels& plain = kernels_for(device);
  KernelClock clock(device);
  trainer.runner().set_replays(false);
  const auto use = [&trainer](const Kernels& kernels) {
    trainer.tape().set_kernels(kernels);
    trainer.optimizer().set_kernels(kernels);
  };

  // Every step calls the same kernels in the same order: one step is described, others are timed.
  CallOwners owners(clock);
  use(clock.kernels());
  clock.describe();
  trainer.tape().set_observer(&owners);
  Profile profile;
  profile.config = trainer.config();
  profile.device = device;
  profile.machine = describe_device(device);
  profile.products_by = device == Device::cuda ? "cuBLASLt" : instruction_set().products;
  profile.steps = steps;
  profile.tokens = trainer.step().tokens;
  trainer.tape().set_observer(nullptr);
  owners.finish();
  profile.rows = owners.rows();
  profile.planned_flops =
      make_plan(profile.config, trainer.tokenizer().vocabulary()).flops_per_token *
      static_cast<double>(profile.tokens);
  add_work(profile, owners, clock);

  std::vector<TimedStep> timed;
  std::vector<double> untimed;
  const auto take_timed = [&] {
    clock.measure();
    use(clock.kernels());
    TimedStep step{trainer.step(), {}};
    step.seconds = clock.seconds();
    use(plain);
    return step;
  };
  if (device == Device::cpu) {
    for (int64_t i = -1; i < steps; ++i) {  // the first pair warms up
      TimedStep step = take_timed();
      const double seconds = trainer.step().seconds;
      if (i < 0) continue;
      timed.push_back(std::move(step));
      untimed.push_back(seconds);
    }
  } else {  // a graph keeps the table that it was captured with, so the tables do not alternate
    for (int64_t i = -1; i < steps; ++i) {
      TimedStep step = take_timed();
      if (i >= 0) timed.push_back(std::move(step));
    }
    trainer.runner().set_replays(true);
    for (int64_t i = -2; i < steps; ++i) {  // the first is captured
      const double seconds = trainer.step().seconds;
      if (i >= 0) untimed.push_back(seconds);
    }
  }
  add_times(profile, owners, std::move(timed));
  profile.plain_seconds = median(std::move(untimed));
  std::stable_sort(profile.rows.begin(), std::prev(profile.rows.end()),
                   [](const ProfileRow& a, const ProfileRow& b) { return a.seconds > b.seconds; });
  std::ranges::stable_sort(
      profile.products, std::ranges::greater(),
      [](const ProductTime& product) { return product.times * product.seconds; });
  return profile;
}

}  // namespace folio
