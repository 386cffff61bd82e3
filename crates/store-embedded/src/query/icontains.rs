//! The SQL function `icontains(text, part)`.

use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

/// Returns whether a text contains another, ignoring the case of ASCII letters; null for null.
///
/// `ILIKE '%part%'` does nearly the same with a regular expression, which takes three times as
/// long.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct IContains {
    signature: Signature,
}

impl IContains {
    pub(super) fn new() -> Self {
        let texts = vec![DataType::Utf8View, DataType::Utf8View];
        Self { signature: Signature::exact(texts, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for IContains {
    fn name(&self) -> &str {
        "icontains"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [texts, part] = &args.args[..] else { return exec_err!("icontains takes two texts") };
        let ColumnarValue::Scalar(part) = part else {
            return exec_err!("the second text of icontains is the same for all rows");
        };
        let Some(part) = part.try_as_str().flatten() else {
            return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None)));
        };
        let texts = texts.to_array(args.number_rows)?;
        let Some(texts) = texts.as_string_view_opt() else {
            return exec_err!("icontains looks into texts");
        };
        // The values under nulls do not matter.
        let found = BooleanBuffer::collect_bool(texts.len(), |i| {
            contains(texts.value(i).as_bytes(), part.as_bytes())
        });
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::new(found, texts.nulls().cloned()))))
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    let Some(&first) = part.first() else { return true };
    let Some(last_start) = text.len().checked_sub(part.len()) else { return false };
    let starts = &text[..=last_start];
    memchr::memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), starts)
        .any(|at| text[at..at + part.len()].eq_ignore_ascii_case(part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_what_lowered_texts_say(text in "[aAbBéÉ%_]{0,12}", part in "[aAbBéÉ%_]{0,3}") {
            let lowered = text.to_ascii_lowercase().contains(&part.to_ascii_lowercase());
            prop_assert_eq!(contains(text.as_bytes(), part.as_bytes()), lowered);
        }
    }
}
