// What a model's description names, where it is stored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/io/tensor_source.h"
#include "runtime/spec/model_spec.h"

namespace tca::runtime {

/// A matrix [rows, width] of a model: all or some rows of a stored tensor, in their order or another. Valid as long as
/// the source.
class StoredMatrix {
 public:
  /// Throws as TensorSource::get().
  StoredMatrix(const TensorSource& source, const MatrixSpec& spec);

  const std::string& name() const { return name_; }  // of the tensor
  const StoredTensor& tensor() const { return *tensor_; }
  std::int64_t rows() const { return rows_; }
  std::int64_t width() const { return tensor_->width(); }
  /// Values of tensor().dtype, row behind row from row(0) on.
  bool is_plain() const { return order_.empty() && tensor_->is_plain(); }
  /// Where one row is stored, of plain values or of whole blocks.
  const std::byte* row(std::int64_t index) const;
  /// Rows [first, first + count) in fp32: [count, width].
  void read_rows(std::int64_t first, std::int64_t count, float* out) const;

 private:
  std::int64_t stored_row(std::int64_t index) const;

  std::string name_;
  const StoredTensor* tensor_;
  std::int64_t rows_, first_row_;
  std::vector<std::int32_t> order_;
};

/// [out], in the order of the matrix's rows.
std::vector<float> read_bias(const TensorSource& source, const MatrixSpec& spec);
/// [size]: what x / rms(x) is multiplied by.
std::vector<float> read_norm(const TensorSource& source, const NormSpec& spec);

}  // namespace tca::runtime
