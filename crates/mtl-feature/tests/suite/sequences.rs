//! Sequences: fitted, encoded, fed and pooled.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use mtl_feature::{
    Chunk, FeatureSpec, FeatureTable, Feed, InputConfig, Keep, MISSING, Pooling, RawColumn, Rows,
    Schema, SchemaFitter, SchemaSpec, Targets, UNSEEN, Values,
};
use mtl_nn::{Batch, GraphBuilder, Params, Predictor, SHARD_ROWS};
use proptest::prelude::*;

fn spec() -> Vec<FeatureSpec> {
    vec![
        FeatureSpec::categorical("item").dim(3),
        FeatureSpec::sequence("history").shares("item").max_length(3).din("item"),
        FeatureSpec::sequence("tags").min_count(2).separator(";").keep(Keep::First).max_length(2),
        FeatureSpec::sequence("words").hash_buckets(20).column("tags").separator(";"),
    ]
}

/// One row: an item, items seen before (an item that is missing among them), and tags.
type Row = (u8, Option<Vec<Option<u8>>>, Vec<u8>);

fn joined(items: &[Option<u8>], separator: &str) -> String {
    let texts: Vec<String> =
        items.iter().map(|item| item.map_or(String::new(), |item| item.to_string())).collect();
    texts.join(separator)
}

#[derive(Clone, Copy)]
enum Form {
    Text,
    Lists,
}

fn chunk(rows: &[Row], form: Form) -> Chunk {
    let items = RawColumn::new(Values::Integer(rows.iter().map(|row| row.0.into()).collect()));
    let tags: Vec<Vec<Option<u8>>> =
        rows.iter().map(|row| row.2.iter().map(|tag| Some(*tag)).collect()).collect();
    let histories: Vec<Option<Vec<Option<u8>>>> = rows.iter().map(|row| row.1.clone()).collect();
    let tags = tags.into_iter().map(Some).collect::<Vec<_>>();
    let column = |lists: &[Option<Vec<Option<u8>>>], separator| match form {
        Form::Text => text_column(lists, separator),
        Form::Lists => list_column(lists),
    };
    let columns = vec![
        ("history".to_owned(), column(&histories, "|")),
        ("item".to_owned(), items),
        ("tags".to_owned(), column(&tags, ";")),
    ];
    Chunk::new(rows.len(), Rows::From(2), columns).unwrap()
}

fn text_column(lists: &[Option<Vec<Option<u8>>>], separator: &str) -> RawColumn {
    let texts: Vec<String> =
        lists.iter().map(|list| joined(list.as_deref().unwrap_or(&[]), separator)).collect();
    let missing = texts.iter().map(String::is_empty).collect();
    let texts = texts.iter().map(String::as_str).collect();
    RawColumn::with_missing(Values::Text(texts), Some(missing))
}

fn list_column(lists: &[Option<Vec<Option<u8>>>]) -> RawColumn {
    let flat: Vec<Option<u8>> = lists.iter().flatten().flatten().copied().collect();
    let items = Values::Integer(flat.iter().map(|item| item.unwrap_or(0).into()).collect());
    let missing = Some(flat.iter().map(Option::is_none).collect());
    let (mut spans, mut at) = (Vec::new(), 0);
    for list in lists {
        let start = at;
        at += list.as_ref().map_or(0, Vec::len) as u32;
        spans.push((start, at));
    }
    let missing_lists = Some(lists.iter().map(Option::is_none).collect());
    let items = Arc::new(RawColumn::with_missing(items, missing));
    RawColumn::with_missing(Values::List { spans, items }, missing_lists)
}

fn fit(features: Vec<FeatureSpec>, chunks: &[Chunk]) -> Schema {
    let mut fitter = SchemaFitter::new(SchemaSpec::new(features, vec![])).unwrap();
    chunks.iter().for_each(|chunk| fitter.observe(chunk).unwrap());
    fitter.finish().unwrap()
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    // A list of one missing item is, as text, an empty list.
    let item = prop::option::weighted(0.9, 0_u8..6);
    let list = prop::collection::vec(item, 0..6)
        .prop_map(|list| if list == [None] { vec![] } else { list });
    let tags = prop::collection::vec(0_u8..5, 0..4);
    prop::collection::vec((0_u8..4, prop::option::of(list), tags), 1..40)
}

proptest! {
    #[test]
    fn neither_form_nor_order_nor_chunks_change_an_id(
        (rows, shuffled) in rows().prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
        cut in any::<prop::sample::Index>(),
        keep in prop::collection::vec(any::<bool>(), 40),
    ) {
        let whole = fit(spec(), &[chunk(&rows, Form::Text)]);
        let cut = cut.index(rows.len());
        let (one, two) = (chunk(&shuffled[..cut], Form::Lists), chunk(&shuffled[cut..], Form::Text));
        prop_assert_eq!(&fit(spec(), &[one, two.compact()]), &whole);

        let encode = |chunk: &Chunk| whole.encode(chunk, Targets::Ignored).unwrap();
        let text = chunk(&rows, Form::Text);
        let encoded = encode(&text);
        prop_assert_eq!(&encode(&text.clone().compact()), &encoded);
        prop_assert_eq!(&encode(&chunk(&rows, Form::Lists)), &encoded);
        prop_assert_eq!(&encode(&chunk(&rows, Form::Lists).compact()), &encoded);
        let kept: Vec<u32> = (0..rows.len() as u32).filter(|&i| keep[i as usize]).collect();
        let filtered = chunk(&rows, Form::Lists).filter(&keep[..rows.len()]);
        prop_assert_eq!(encode(&filtered), encoded.select(&kept));
    }
}

fn example() -> Chunk {
    let rows: [Row; 4] = [
        (1, Some(vec![Some(1), Some(2), Some(3), Some(1)]), vec![7, 8, 9]),
        (1, None, vec![7]),
        (2, Some(vec![Some(9), None]), vec![]),
        (4, Some(vec![]), vec![8]),
    ];
    chunk(&rows, Form::Text)
}

#[test]
fn values_worked_out_by_hand() {
    let schema = fit(spec(), &[example()]);
    // Counted among items and the kept parts of histories: 1 three times, 2 and 3, 4 and 9.
    let table = schema.encode(&example(), Targets::Ignored).unwrap();
    assert_eq!(table.ids_of("item"), Some(&[2, 2, 3, 5][..]));
    let lists = |name: &str| table.lists_of(name).unwrap().iter().collect::<Vec<_>>();
    let expected: [&[u32]; 4] = [&[3, 4, 2], &[], &[6, MISSING], &[]];
    assert_eq!(lists("history"), expected);
    let expected: [&[u32]; 4] = [&[2, 3], &[2], &[], &[3]];
    assert_eq!(lists("tags"), expected);
    assert_eq!(lists("words")[0].len(), 3);

    let other = [(9, Some(vec![Some(77), Some(4)]), vec![9, 7])];
    let table = schema.encode(&chunk(&other, Form::Lists), Targets::Ignored).unwrap();
    assert_eq!(table.lists_of("history").unwrap().row(0), [UNSEEN, 5]);
    assert_eq!(table.lists_of("tags").unwrap().row(0), [UNSEEN, 2]);
    let shapes = |f: Vec<mtl_feature::CategoricalShape<'_>>| {
        f.iter().map(|shape| (shape.name.to_owned(), shape.n_rows)).collect::<Vec<_>>()
    };
    assert_eq!(shapes(schema.categorical().collect()), [("item".into(), 7)]);
    let expected = [("history".into(), 7), ("tags".into(), 4), ("words".into(), 22)];
    assert_eq!(shapes(schema.sequences().collect()), expected);
}

#[test]
fn a_schema_with_sequences_travels_as_json_and_as_bincode() {
    let schema = fit(spec(), &[example()]);
    let json = serde_json::to_string(&schema).unwrap();
    assert_eq!(serde_json::from_str::<Schema>(&json).unwrap(), schema);
    let bytes = bincode::serialize(&schema).unwrap();
    assert_eq!(bincode::deserialize::<Schema>(&bytes).unwrap(), schema);
}

#[test]
fn a_list_where_one_value_is_wanted_is_named() {
    let rows = [(1, Some(vec![Some(1), Some(2)]), vec![])];
    let spec = vec![FeatureSpec::categorical("history")];
    let mut fitter = SchemaFitter::new(SchemaSpec::new(spec, vec![])).unwrap();
    let error = fitter.observe(&chunk(&rows, Form::Lists)).unwrap_err().to_string();
    let expected = "row 2, column `history`: found `1|2`, expected one value, not a list";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn features_that_name_others_are_checked() {
    let check = |features: Vec<FeatureSpec>, expected: &str| {
        let error = SchemaFitter::new(SchemaSpec::new(features, vec![])).unwrap_err().to_string();
        assert!(error.starts_with(expected), "found    {error}\nexpected {expected}");
    };
    let item = || FeatureSpec::categorical("item");
    let history = || FeatureSpec::sequence("history");
    check(
        vec![item(), history().shares("itme")],
        "feature `history`: `shares` is `itme`, expected another categorical or sequence feature \
         that itself shares with none; did you mean `item`?",
    );
    check(vec![history().shares("history")], "feature `history`: `shares` is `history`");
    check(
        vec![item(), history().shares("item"), FeatureSpec::categorical("b").shares("history")],
        "feature `b`: `shares` is `history`",
    );
    check(
        vec![FeatureSpec::numeric("age"), history().shares("age")],
        "feature `history`: `shares` is `age`",
    );
    check(
        vec![item(), history().din("ite")],
        "feature `history`: `target` is `ite`, expected the categorical feature whose value the \
         sequence is compared with; did you mean `item`?",
    );
    check(vec![history().pooling(Pooling::Din)], "feature `history`: `target` is not given");
}

/// x of every row by the input layer, in f32.
fn x(config: &InputConfig, schema: &Schema, table: &FeatureTable) -> (String, Vec<Vec<f32>>) {
    let mut b = GraphBuilder::<f32>::new();
    let x = config.build(&mut b, schema, "").unwrap();
    let first_order = config.build_first_order(&mut b, schema, "").unwrap().unwrap();
    assert_eq!(first_order.n_cols(), 4);
    let graph = Arc::new(b.finish());
    let params = Params::init(graph.layout(), 3);
    let mut batch = Batch::for_graph(&graph);
    let feed = Feed::new(&graph, table).unwrap();
    feed.fill_range(0, table.n_rows(), &mut batch);
    let mut all = Batch::for_graph(&graph);
    feed.fill(&(0..table.n_rows() as u32).collect::<Vec<_>>(), &mut all);
    assert_eq!(all.lists, batch.lists);
    let values = Predictor::of(Arc::clone(&graph), vec![x]).predict(&params, &batch).unwrap();
    let rows = values.rows().into_iter().map(|row| row.to_vec()).collect();
    (graph.to_string(), rows)
}

#[test]
fn the_input_layer_puts_sequences_in_order_of_name() {
    let mut features = spec();
    features.push(FeatureSpec::numeric("size").column("item"));
    let schema = fit(features.clone(), &[example()]);
    let table = schema.encode(&example(), Targets::Ignored).unwrap();
    let config = InputConfig { dim: 2, ..InputConfig::default() };
    let (graph, rows) = x(&config, &schema, &table);
    // history (3, as the item), item 3, size 1, tags 2, words 2.
    assert!(graph.contains("x [rows × 11] = concat(pooled.history, embed)"), "{graph}");
    assert!(graph.contains("pooled.history [rows × 3] = target_attention(sequence.history"));
    assert_eq!(rows[1][..3], [0.0; 3], "an empty history is 0");
    assert!(rows[0][..3] != [0.0; 3] && rows[0][6] == 1.0);

    features.reverse();
    let reversed = fit(features, &[example()]);
    assert_eq!(reversed, schema);
    let (alone, rows_alone) = x(&config, &reversed, &table.select(&[0]));
    assert_eq!((alone, &rows_alone[0]), (graph, &rows[0]));
    assert!(table.n_rows() < SHARD_ROWS);
}

#[test]
fn a_target_that_is_not_read_or_not_as_wide_is_named() {
    let build = |features: Vec<FeatureSpec>, group: Option<&str>| {
        let schema = fit(features, &[example()]);
        let config = InputConfig { group: group.map(str::to_owned), ..InputConfig::default() };
        config.build(&mut GraphBuilder::<f32>::new(), &schema, "").unwrap_err().to_string()
    };
    let item = FeatureSpec::categorical("item").dim(3);
    let wide = build(vec![item.clone(), FeatureSpec::sequence("history").din("item")], None);
    assert_eq!(
        wide,
        "feature `history`: `target` is `item`, expected a feature whose `dim` is the sequence's, 8"
    );
    let history = FeatureSpec::sequence("history").shares("item").din("item").group("g");
    let error = build(vec![item, history], Some("g"));
    assert!(error.contains("expected a feature of group `g`"), "{error}");
}
