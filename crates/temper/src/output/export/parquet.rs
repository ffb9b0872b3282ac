//! Records as an Apache Parquet file.

use std::io::Write;
use std::sync::Arc;

use anyhow::Result;
use parquet::basic::{LogicalType, Repetition, Type as PhysicalType};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::{Column, TrialColumns, Values};

impl TrialColumns {
    /// Writes one row a trial, in one row group, uncompressed: dictionaries make repeated values small already. No value is null.
    /// Counts are unsigned 64-bit integers, the accuracy and swept rates are doubles, swept words are UTF-8 strings.
    pub(crate) fn parquet(&self, out: &mut (dyn Write + Send)) -> Result<()> {
        let fields = self.columns.iter().map(|column| Ok(Arc::new(column.parquet_type()?)));
        let schema =
            Type::group_type_builder("trial").with_fields(fields.collect::<Result<Vec<_>>>()?).build()?;
        let mut file =
            SerializedFileWriter::new(out, Arc::new(schema), Arc::new(WriterProperties::default()))?;
        let mut group = file.next_row_group()?;
        for column in &self.columns {
            let mut writer = group.next_column()?.expect("the schema has a field for each column");
            match &column.values {
                Values::Integers(values) => {
                    // The file holds the bits; its schema says that they are unsigned.
                    let values: Vec<i64> = values.iter().map(|&value| value as i64).collect();
                    writer.typed::<Int64Type>().write_batch(&values, None, None)?;
                }
                Values::Reals(values) => {
                    writer.typed::<DoubleType>().write_batch(values, None, None)?;
                }
                Values::Texts(values) => {
                    let values: Vec<ByteArray> = values.iter().map(|text| text.as_str().into()).collect();
                    writer.typed::<ByteArrayType>().write_batch(&values, None, None)?;
                }
            }
            writer.close()?;
        }
        group.close()?;
        file.close()?;
        Ok(())
    }
}

impl Column {
    fn parquet_type(&self) -> Result<Type> {
        let (physical, logical) = match self.values {
            Values::Integers(_) => (PhysicalType::INT64, Some(LogicalType::integer(64, false))),
            Values::Reals(_) => (PhysicalType::DOUBLE, None),
            Values::Texts(_) => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let field = Type::primitive_type_builder(&self.name, physical);
        Ok(field.with_repetition(Repetition::REQUIRED).with_logical_type(logical).build()?)
    }
}
