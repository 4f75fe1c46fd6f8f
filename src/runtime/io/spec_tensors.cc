#include "runtime/io/spec_tensors.h"

#include <utility>

namespace tca::runtime {
namespace {

/// Element i of a head is its order[i]-th.
std::int64_t source_of(std::int64_t i, const std::vector<std::int32_t>& order) {
  const std::int64_t size = std::ssize(order);
  return size == 0 ? i : i / size * size + order[static_cast<std::size_t>(i % size)];
}

std::vector<float> in_order(std::vector<float> values, const std::vector<std::int32_t>& order) {
  if (order.empty()) return values;
  std::vector<float> ordered(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    ordered[i] = values[static_cast<std::size_t>(source_of(static_cast<std::int64_t>(i), order))];
  }
  return ordered;
}

std::vector<float> read(const TensorSource& source, const std::string& name, std::int64_t size) {
  std::vector<float> values(static_cast<std::size_t>(size));
  read_vector(source.get(name, {size}), values.data());
  return values;
}

}  // namespace

StoredMatrix::StoredMatrix(const TensorSource& source, const MatrixSpec& spec)
    : name_(spec.name + ".weight"),
      tensor_(&source.get(name_, {spec.rows(), spec.in})),
      rows_(spec.out),
      first_row_(spec.first_row),
      order_(spec.head_order) {}

std::int64_t StoredMatrix::stored_row(std::int64_t index) const { return first_row_ + source_of(index, order_); }

const std::byte* StoredMatrix::row(std::int64_t index) const { return tensor_->row(stored_row(index)); }

void StoredMatrix::read_rows(std::int64_t first, std::int64_t count, float* out) const {
  for (std::int64_t row = first; row < first + count; ++row, out += width()) {
    runtime::read_rows(*tensor_, stored_row(row), 1, out);
  }
}

std::vector<float> read_bias(const TensorSource& source, const MatrixSpec& spec) {
  std::vector<float> values = read(source, spec.name + ".bias", spec.rows());
  values.erase(values.begin(), values.begin() + spec.first_row);
  values.resize(static_cast<std::size_t>(spec.out));
  return in_order(std::move(values), spec.head_order);
}

std::vector<float> read_norm(const TensorSource& source, const NormSpec& spec) {
  std::vector<float> values = read(source, spec.name, spec.size);
  if (spec.offset != 0 || spec.factor != 1) {
    for (float& value : values) value = static_cast<float>((value + spec.offset) * spec.factor);
  }
  return in_order(std::move(values), spec.head_order);
}

}  // namespace tca::runtime
