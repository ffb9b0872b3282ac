//! Networks from files of other programs.

pub mod onnx;
