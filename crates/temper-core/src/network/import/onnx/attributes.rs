//! The attributes of a node, each taken once, so that none is overlooked.

use std::collections::BTreeMap;

use super::proto::{AttributeProto, AttributeType, TensorProto};

/// The attributes of one node that its operator has not yet asked for.
pub(super) struct Attributes<'a>(BTreeMap<&'a str, &'a AttributeProto>);

impl<'a> Attributes<'a> {
    pub(super) fn new(attributes: &'a [AttributeProto]) -> Self {
        Self(attributes.iter().map(|attribute| (attribute.name.as_str(), attribute)).collect())
    }

    pub(super) fn int(&mut self, name: &str) -> Result<Option<i64>, String> {
        Ok(self.take(name, AttributeType::Int)?.map(|attribute| attribute.i))
    }

    pub(super) fn float(&mut self, name: &str) -> Result<Option<f32>, String> {
        Ok(self.take(name, AttributeType::Float)?.map(|attribute| attribute.f))
    }

    pub(super) fn ints(&mut self, name: &str) -> Result<Option<&'a [i64]>, String> {
        Ok(self.take(name, AttributeType::Ints)?.map(|attribute| attribute.ints.as_slice()))
    }

    pub(super) fn floats(&mut self, name: &str) -> Result<Option<&'a [f32]>, String> {
        Ok(self.take(name, AttributeType::Floats)?.map(|attribute| attribute.floats.as_slice()))
    }

    /// A word, which must be one of `known`; the first of them if the attribute is absent.
    pub(super) fn word(&mut self, name: &str, known: &[&'static str]) -> Result<&'static str, String> {
        let Some(attribute) = self.take(name, AttributeType::String)? else {
            return Ok(known[0]);
        };
        known.iter().find(|word| word.as_bytes() == attribute.s).copied().ok_or_else(|| {
            format!(
                "attribute `{name}` is \"{}\"; supported: {}",
                attribute.s.escape_ascii(),
                known.join(", ")
            )
        })
    }

    pub(super) fn tensor(&mut self, name: &str) -> Result<Option<&'a TensorProto>, String> {
        let Some(attribute) = self.take(name, AttributeType::Tensor)? else {
            return Ok(None);
        };
        attribute.t.as_ref().map(Some).ok_or_else(|| format!("attribute `{name}` holds no tensor"))
    }

    /// An integer that may be absent or `expected`, for whatever else it asks is not supported.
    pub(super) fn expect(&mut self, name: &str, expected: i64) -> Result<(), String> {
        match self.int(name)? {
            Some(found) if found != expected => {
                Err(format!("attribute `{name}` is {found}; only {expected} is supported"))
            }
            _ => Ok(()),
        }
    }

    /// Drops an attribute that has no meaning for a trained network.
    pub(super) fn ignore(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Fails if an attribute is left that the operator did not ask for.
    pub(super) fn finish(&self) -> Result<(), String> {
        if self.0.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = self.0.keys().map(|name| format!("`{name}`")).collect();
        Err(format!("unsupported attribute {}", names.join(", ")))
    }

    fn take(&mut self, name: &str, kind: AttributeType) -> Result<Option<&'a AttributeProto>, String> {
        let Some(attribute) = self.0.remove(name) else {
            return Ok(None);
        };
        if !attribute.ref_attr_name.is_empty() {
            return Err(format!("attribute `{name}` refers to a function's attribute; inline the functions"));
        }
        // Files of the first versions of the format leave the kind open.
        if attribute.r#type == AttributeType::Undefined as i32 || attribute.r#type == kind as i32 {
            return Ok(Some(attribute));
        }
        Err(format!("attribute `{name}` is of kind {}; expected {kind:?}", attribute.r#type))
    }
}
