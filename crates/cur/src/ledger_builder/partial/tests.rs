//! Parts of a ledger: added up in any order, cut to a window, kept in one form.

use super::*;
use crate::columns::Detail;
use crate::symbols::Symbols;

/// One of each, in hours 10 and 11.
fn sample(used: i128) -> Partial {
    let strings = ["", "arn", "region", "usage"].map(str::to_owned).to_vec();
    let amounts = Amounts {
        commitment: Some(7),
        used,
        covered: 2,
        suspect: true,
        fee_rows: 1,
    };
    Partial {
        has_times: true,
        refunds: vec![(1, 2, Some(11))],
        strings,
        hours: vec![
            (1, 10, amounts),
            (
                1,
                11,
                Amounts {
                    suspect: false,
                    ..amounts
                },
            ),
        ],
        facts: vec![(1, [0, 3, 0, 0, 2, 0, 0, 0, 0, 0, 0], true, 11)],
        rates: vec![(1, 3, 0, 11, 5)],
        prices: vec![(3, 0, 10, 9)],
        spot_list_prices: vec![(3, 0, 11, 8)],
        series: vec![SeriesText {
            class: ClassText::Covered(1),
            is_instance: true,
            texts: [3, 0, 2, 0, 0, 0],
        }],
        cells: vec![vec![(10, 4, -6), (1, 1, 1)]],
        newest_by_region: vec![(
            2,
            EndsText {
                hours: Some(11),
                longer: None,
            },
        )],
        covered_regions: vec![(1, 2, 11)],
        newest_usage: EndsText {
            hours: Some(11),
            longer: Some((10, 40)),
        },
        fees: [Some(11), None, None],
        covered: [Some(10), Some(10), None],
        regions: vec![(2, 3, 2, 11)],
        timeless_rows: 1,
        unreadable_rows: vec![(10, 2)],
    }
}

fn sum_of(parts: &[Partial], window: Option<Range<Hour>>) -> Option<Partial> {
    let symbols = Arc::new(Symbols::default());
    let mut builder = LedgerBuilder::new(&symbols, window, Detail::Usage);
    for part in parts {
        if !builder.absorb(part.clone()).unwrap() {
            return None;
        }
    }
    Some(builder.into_partial().unwrap())
}

fn hours(from: i32, to: i32) -> Range<Hour> {
    Hour::from_index(from)..Hour::from_index(to)
}

/// `sample(1)` as it is kept.
#[rustfmt::skip]
const FORM_7: &[u8] = &[
    4, 0, 3, 97, 114, 110, 6, 114, 101, 103, 105, 111, 110, 5, 117, 115, 97, 103, 101, 2, 1, 20, 1, 14,
    2, 4, 1, 1, 1, 22, 1, 14, 2, 4, 0, 1, 1, 1, 0, 3, 0, 0, 2, 0, 0, 0, 0, 0,
    0, 1, 22, 1, 1, 3, 0, 22, 10, 1, 3, 0, 20, 18, 1, 3, 0, 22, 16, 1, 3, 1, 1, 3,
    0, 2, 0, 0, 0, 1, 2, 20, 8, 11, 2, 2, 2, 1, 2, 1, 22, 0, 1, 1, 2, 22, 1, 22, 1, 20, 80, 1, 22, 0, 0, 1, 20, 1, 20, 0, 1, 2, 3, 2,
    22, 1, 1, 20, 2, 1, 1, 1, 2, 1, 22,
];

#[test]
fn a_part_stays_as_it_is_on_the_way_through_a_builder() {
    assert_eq!(sum_of(&[sample(1)], None), Some(sample(1)));
}

#[test]
fn parts_add_up_in_any_order() {
    let (a, b) = (sample(1), sample(100));
    let sum = sum_of(&[a.clone(), b.clone()], None).unwrap();
    assert_eq!(Some(&sum), sum_of(&[b, a], None).as_ref());
    assert_eq!((sum.hours[0].2.used, sum.hours[0].2.commitment), (101, Some(14)));
    assert_eq!(sum.cells, [[(10, 8, -12), (1, 2, 2)]]);
    assert_eq!((sum.timeless_rows, sum.unreadable_rows), (2, vec![(10, 4)]));
}

#[test]
fn what_lies_before_the_window_is_cut_off() {
    let cut = sum_of(&[sample(1)], Some(hours(11, 12))).unwrap();
    assert_eq!((cut.hours.len(), &cut.cells[..]), (1, &[vec![(11, 1, 1)]][..]));
    assert!(cut.prices.is_empty() && cut.unreadable_rows.is_empty());
    assert_eq!((cut.covered, cut.newest_usage.longer), ([None; 3], None));
}

#[test]
fn what_lies_after_the_window_hides_the_rates_within_it() {
    assert_eq!(sum_of(&[sample(1)], Some(hours(10, 11))), None);
}

#[test]
fn a_part_that_points_at_nothing_is_an_error() {
    let symbols = Arc::new(Symbols::default());
    let nameless = Partial {
        strings: Vec::new(),
        ..sample(1)
    };
    let of_no_series = Partial {
        series: Vec::new(),
        ..sample(1)
    };
    for broken in [nameless, of_no_series] {
        let mut builder = LedgerBuilder::new(&symbols, None, Detail::Usage);
        assert!(builder.absorb(broken).is_err());
    }
}

#[test]
fn cells_out_of_order_are_an_error() {
    let symbols = Arc::new(Symbols::default());
    for step in [0, -1, i32::MAX] {
        let mut broken = sample(1);
        broken.cells[0][1].0 = step;
        let mut builder = LedgerBuilder::new(&symbols, None, Detail::Usage);
        assert!(builder.absorb(broken).is_err(), "{step}");
    }
}

// Bytes of another form read as numbers of another meaning: when this changes, raise FORM in `cur::ledger_cache`.
#[test]
fn the_form_of_kept_parts_is_the_one_with_that_number() {
    let bytes = postcard::to_allocvec(&sample(1)).unwrap();
    assert_eq!((crate::ledger_cache::FORM, bytes.as_slice()), (7, FORM_7));
}
