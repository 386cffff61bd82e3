use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, ListArray, NullArray,
    StringViewArray, StructArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::{Field, Int64Type, Schema};
use bytes::Bytes;

use super::*;

fn batch() -> RecordBatch {
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(1), None]),
        None,
        Some(vec![]),
    ]);
    let inner: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN), None]));
    let structs = StructArray::from(vec![(
        Arc::new(Field::new("x", inner.data_type().clone(), true)),
        inner,
    )]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("i", Arc::new(Int64Array::from(vec![Some(i64::MAX), None, Some(-1)]))),
        ("u", Arc::new(UInt64Array::from(vec![u64::MAX, 0, 1]))),
        ("x", Arc::new(Float64Array::from(vec![1.0, f64::NEG_INFINITY, 1e300]))),
        ("f", Arc::new(Float32Array::from(vec![0.1, f32::NAN, -0.0]))),
        ("s,\"", Arc::new(StringViewArray::from(vec![Some("a,\"b\"\n"), Some(""), None]))),
        ("b", Arc::new(BooleanArray::from(vec![true, false, true]))),
        (
            "t",
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(0), Some(-1), None]).with_timezone("UTC"),
            ),
        ),
        ("l", Arc::new(list)),
        ("o", Arc::new(structs)),
        ("n", Arc::new(NullArray::new(3))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
        .unwrap()
}

fn encode(format: Format, batches: &[RecordBatch]) -> Vec<u8> {
    let mut encoder = Encoder::new(format, &batch().schema()).unwrap();
    let mut out = encoder.begin();
    for batch in batches {
        out.extend(encoder.batch(batch).unwrap());
    }
    out.extend(encoder.finish().unwrap());
    out
}

fn text(format: Format, batches: &[RecordBatch]) -> String {
    String::from_utf8(encode(format, batches)).unwrap()
}

#[test]
fn rows_are_encoded_as_json_lines() {
    assert_eq!(
        text(Format::Ndjson, &[batch()]),
        concat!(
            r#"{"i":9223372036854775807,"u":18446744073709551615,"x":1.0,"f":0.1,"s,\"":"a,\"b\"\n","b":true,"t":"1970-01-01T00:00:00.000000Z","l":[1,null],"o":{"x":0.5},"n":null}"#,
            "\n",
            r#"{"i":null,"u":0,"x":"-Infinity","f":"NaN","s,\"":"","b":false,"t":"1969-12-31T23:59:59.999999Z","l":null,"o":{"x":"NaN"},"n":null}"#,
            "\n",
            r#"{"i":-1,"u":1,"x":1e+300,"f":-0.0,"s,\"":null,"b":true,"t":null,"l":[],"o":{"x":null},"n":null}"#,
            "\n",
        )
    );
}

#[test]
fn rows_are_encoded_as_a_json_array() {
    assert_eq!(text(Format::Json, &[]), "[]\n");
    let twice: serde_json::Value =
        serde_json::from_str(&text(Format::Json, &[batch(), batch().slice(0, 0), batch()]))
            .unwrap();
    assert_eq!(twice.as_array().unwrap().len(), 6);
    assert_eq!(twice[3]["u"], u64::MAX);
}

#[test]
fn rows_are_encoded_as_csv() {
    assert_eq!(
        text(Format::Csv, &[batch()]),
        concat!(
            "i,u,x,f,\"s,\"\"\",b,t,l,o,n\n",
            "9223372036854775807,18446744073709551615,1.0,0.1,\"a,\"\"b\"\"\n\",true,",
            "1970-01-01T00:00:00.000000Z,\"[1,null]\",\"{\"\"x\"\":0.5}\",\n",
            ",0,-Infinity,NaN,\"\",false,1969-12-31T23:59:59.999999Z,,\"{\"\"x\"\":\"\"NaN\"\"}\",\n",
            "-1,1,1e+300,-0.0,,true,,[],\"{\"\"x\"\":null}\",\n",
        )
    );
}

#[test]
fn rows_are_encoded_as_an_arrow_stream() {
    let bytes = encode(Format::Arrow, &[batch(), batch()]);
    let reader = arrow::ipc::reader::StreamReader::try_new(&bytes[..], None).unwrap();
    assert_eq!(reader.collect::<Result<Vec<_>, _>>().unwrap(), [batch(), batch()]);
    let none = encode(Format::Arrow, &[]);
    let reader = arrow::ipc::reader::StreamReader::try_new(&none[..], None).unwrap();
    assert_eq!((reader.schema(), reader.count()), (batch().schema(), 0));
}

#[test]
fn rows_are_encoded_as_a_parquet_file() {
    let read = |bytes: Vec<u8>| {
        let builder = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(
            Bytes::from(bytes),
        )
        .unwrap();
        builder.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum::<usize>()
    };
    assert_eq!(read(encode(Format::Parquet, &[batch(), batch()])), 6);
    assert_eq!(read(encode(Format::Parquet, &[])), 0);
}

#[test]
fn results_without_columns_are_encoded() {
    let schema = Arc::new(Schema::empty());
    let mut encoder = Encoder::new(Format::Json, &schema).unwrap();
    assert_eq!(encoder.begin(), b"[");
}
