//! Arrow arrays as raw columns.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, GenericListArray, OffsetSizeTrait, PrimitiveArray,
};
use arrow_schema::{DataType, TimeUnit};
use mtl_feature::{RawColumn, TextColumn, Values};

use crate::missing::Missing;
use mtl_feature::calendar::iso_date;

/// The column of an array, or what is wrong with it ("has …").
///
/// A date becomes text (`2022-05-01`), which sorts as dates do; a decimal the nearest float, or an integer
/// where it has no decimals; a timestamp becomes the integer that
/// the file holds, in the file's unit.
pub(crate) fn raw_column(array: &ArrayRef, missing: &Missing) -> Result<RawColumn, String> {
    match array.data_type() {
        DataType::Int8 => Ok(integers::<Int8Type>(array, missing)),
        DataType::Int16 => Ok(integers::<Int16Type>(array, missing)),
        DataType::Int32 => Ok(integers::<Int32Type>(array, missing)),
        DataType::Int64 => Ok(integers::<Int64Type>(array, missing)),
        DataType::UInt8 => Ok(integers::<UInt8Type>(array, missing)),
        DataType::UInt16 => Ok(integers::<UInt16Type>(array, missing)),
        DataType::UInt32 => Ok(integers::<UInt32Type>(array, missing)),
        DataType::UInt64 => Ok(unsigned(array, missing)),
        DataType::Float16 => Ok(floats::<Float16Type>(array, missing, |value| value.to_f64())),
        // By way of text, so that 0.1 is 0.1 as it is in a CSV file, not 0.10000000149011612.
        DataType::Float32 => Ok(floats::<Float32Type>(array, missing, shortest)),
        DataType::Float64 => Ok(floats::<Float64Type>(array, missing, |value| value)),
        DataType::Decimal128(_, scale) => Ok(decimals(array, *scale, missing)),
        DataType::Timestamp(unit, _) => Ok(timestamps(array, *unit, missing)),
        DataType::Date32 => Ok(dates(array, missing)),
        DataType::Boolean => {
            let values = array.as_boolean().iter().map(Option::unwrap_or_default).collect();
            Ok(with_nulls(array, Values::Boolean(values), |_| false))
        }
        DataType::Utf8 => Ok(texts(array, array.as_string::<i32>().iter(), missing)),
        DataType::LargeUtf8 => Ok(texts(array, array.as_string::<i64>().iter(), missing)),
        DataType::Utf8View => Ok(texts(array, array.as_string_view().iter(), missing)),
        DataType::Dictionary(..) => dictionary(array, missing),
        DataType::List(_) => lists(array, array.as_list::<i32>(), missing),
        DataType::LargeList(_) => lists(array, array.as_list::<i64>(), missing),
        DataType::Null => {
            let values = Values::Boolean(vec![false; array.len()]);
            Ok(RawColumn::with_missing(values, Some(vec![true; array.len()])))
        }
        other => {
            let expected =
                "integers, floats, decimals, booleans, text, dates, a dictionary or lists of them";
            Err(format!("has the type {other}, expected {expected}"))
        }
    }
}

/// The column, missing where the array is null or `is_mark` says so of a row.
fn with_nulls(array: &ArrayRef, values: Values, is_mark: impl Fn(usize) -> bool) -> RawColumn {
    let has_nulls = array.null_count() > 0;
    let missing = (0..array.len()).map(|i| (has_nulls && array.is_null(i)) || is_mark(i)).collect();
    RawColumn::with_missing(values, Some(missing))
}

fn integers<T: ArrowPrimitiveType>(array: &ArrayRef, missing: &Missing) -> RawColumn
where
    T::Native: Into<i64>,
{
    let values: Vec<i64> =
        array.as_primitive::<T>().values().iter().map(|&value| value.into()).collect();
    let marks: Vec<bool> = values.iter().map(|&value| missing.integer(value)).collect();
    with_nulls(array, Values::Integer(values), |i| marks[i])
}

fn unsigned(array: &ArrayRef, missing: &Missing) -> RawColumn {
    let values = array.as_primitive::<UInt64Type>().values();
    let is_mark = |i: usize| i64::try_from(values[i]).is_ok_and(|value| missing.integer(value));
    with_nulls(array, Values::Unsigned(values.to_vec()), is_mark)
}

fn floats<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    missing: &Missing,
    to_f64: impl Fn(T::Native) -> f64,
) -> RawColumn {
    let array_of: &PrimitiveArray<T> = array.as_primitive();
    let values: Vec<f64> = array_of.values().iter().map(|&value| to_f64(value)).collect();
    let marks: Vec<bool> = values.iter().map(|&value| missing.float(value)).collect();
    with_nulls(array, Values::Float(values), |i| marks[i])
}

/// Decimals that are a number times a power of ten: money, as databases hold it.
fn decimals(array: &ArrayRef, scale: i8, missing: &Missing) -> RawColumn {
    let values = array.as_primitive::<Decimal128Type>().values();
    let whole: Option<Vec<i64>> = values.iter().map(|&value| i64::try_from(value).ok()).collect();
    if let Some(whole) = whole.filter(|_| scale == 0) {
        let marks: Vec<bool> = whole.iter().map(|&value| missing.integer(value)).collect();
        return with_nulls(array, Values::Integer(whole), |i| marks[i]);
    }
    // By way of text, which rounds once: 19.99 is what it is in a CSV file. Short of 2^53 a division
    // of two exact floats rounds once, too, and is twenty times as fast.
    let power = (0..=22).contains(&scale).then(|| 10_f64.powi(scale.into()));
    let float = |&value: &i128| match power {
        Some(power) if value.unsigned_abs() < 1 << 53 => value as f64 / power,
        _ => format!("{value}e{}", -i32::from(scale)).parse().unwrap_or(f64::NAN),
    };
    with_nulls(array, Values::Float(values.iter().map(float).collect()), |_| false)
}

/// The double nearest to the shortest decimal that reads back as `value`.
///
/// Numbers of a log have few decimals, and by way of text each costs a tenth of a microsecond, half
/// the time of reading a file. While 5^k has 28 bits or fewer, value · 10^k is exact, and so the
/// first k where its nearest integer, as k decimals, reads back is the shortest form.
fn shortest(value: f32) -> f64 {
    let wide = f64::from(value);
    // Whole numbers, by far the most, are the same in both.
    if value.fract() == 0.0 || !value.is_finite() {
        return wide;
    }
    let mut scale = 1.0;
    for _ in 1..=12 {
        scale *= 10.0;
        let scaled = wide * scale;
        let decimal = scaled.round() / scale;
        if decimal as f32 == value {
            // Two decimals are equally near: which is the shortest form is for text to say.
            if (scaled - scaled.trunc()).abs() == 0.5 {
                break;
            }
            return decimal;
        }
    }
    value.to_string().parse().unwrap_or(wide)
}

fn timestamps(array: &ArrayRef, unit: TimeUnit, missing: &Missing) -> RawColumn {
    match unit {
        TimeUnit::Second => integers::<TimestampSecondType>(array, missing),
        TimeUnit::Millisecond => integers::<TimestampMillisecondType>(array, missing),
        TimeUnit::Microsecond => integers::<TimestampMicrosecondType>(array, missing),
        TimeUnit::Nanosecond => integers::<TimestampNanosecondType>(array, missing),
    }
}

fn texts<'a>(
    array: &ArrayRef,
    texts: impl Iterator<Item = Option<&'a str>>,
    missing: &Missing,
) -> RawColumn {
    let texts: TextColumn = texts.map(Option::unwrap_or_default).collect();
    let marks: Vec<bool> = texts.iter().map(|text| missing.bytes(text.as_bytes())).collect();
    with_nulls(array, Values::Text(texts), |i| marks[i])
}

fn dates(array: &ArrayRef, missing: &Missing) -> RawColumn {
    let days = array.as_primitive::<Date32Type>().values();
    let dates: Vec<String> = days.iter().map(|&days| iso_date(days)).collect();
    texts(array, dates.iter().map(|date| Some(date.as_str())), missing)
}

fn dictionary(array: &ArrayRef, missing: &Missing) -> Result<RawColumn, String> {
    let any = array.as_any_dictionary();
    let values = Arc::new(raw_column(any.values(), missing)?);
    if values.is_empty() {
        let nulls = Values::Boolean(vec![false; array.len()]);
        return Ok(RawColumn::with_missing(nulls, Some(vec![true; array.len()])));
    }
    let codes = any.normalized_keys().into_iter().map(|code| code as u32).collect();
    Ok(with_nulls(array, Values::Dictionary { codes, values }, |_| false))
}

fn lists<O: OffsetSizeTrait>(
    array: &ArrayRef,
    lists: &GenericListArray<O>,
    missing: &Missing,
) -> Result<RawColumn, String> {
    let items = Arc::new(raw_column(lists.values(), missing)?);
    let ends: Option<Vec<u32>> =
        lists.offsets().iter().map(|offset| u32::try_from(offset.as_usize()).ok()).collect();
    let ends = ends.ok_or("has more than 2^32 items in a batch of rows, expected fewer")?;
    let spans = ends.windows(2).map(|pair| (pair[0], pair[1])).collect();
    Ok(with_nulls(array, Values::List { spans, items }, |_| false))
}

#[cfg(test)]
mod tests {
    use arrow_array::Decimal128Array;
    use mtl_feature::Cell;
    use proptest::prelude::*;

    use super::*;

    fn by_way_of_text(value: f32) -> f64 {
        value.to_string().parse().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn the_shortest_decimal_is_that_of_text(bits: u32, cents in -9_999_999_i32..9_999_999) {
            for value in [f32::from_bits(bits), cents as f32 / 100.0, cents as f32 / 4096.0] {
                // Whole numbers stay what they are, all their digits kept.
                if value.is_finite() && value.fract() != 0.0 {
                    prop_assert_eq!(shortest(value), by_way_of_text(value), "{}", value);
                }
            }
        }
    }

    #[test]
    fn a_decimal_is_the_number_that_its_text_is() {
        let check = |values: Vec<Option<i128>>, scale: i8, expected: &[Cell<'_>]| {
            let array = Decimal128Array::from(values).with_precision_and_scale(38, scale).unwrap();
            let column = raw_column(&(Arc::new(array) as ArrayRef), &Missing::default()).unwrap();
            let cells: Vec<Cell<'_>> = (0..column.len()).map(|i| column.cell(i)).collect();
            assert_eq!(cells, expected);
        };
        let large = 12_345_678_901_234_567_890_123_i128;
        check(
            vec![Some(1_999), None, Some(-5), Some(large)],
            2,
            &[
                Cell::Float(19.99),
                Cell::Missing,
                Cell::Float(-0.05),
                Cell::Float(123_456_789_012_345_678_901.23),
            ],
        );
        check(vec![Some(7), Some(1 << 60)], 0, &[Cell::Integer(7), Cell::Integer(1 << 60)]);
        check(vec![Some(7)], -3, &[Cell::Float(7000.0)]);
    }

    #[test]
    fn a_short_float_keeps_its_digits() {
        assert_eq!(shortest(0.1), 0.1);
        assert_eq!(shortest(3.0), 3.0);
        assert!(shortest(f32::NAN).is_nan());
    }
}
