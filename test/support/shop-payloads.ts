/** Webhooks of shops after the public documentation of Shopify and WooCommerce, with all fields that matter and people who do not exist. */
import { createHmac } from 'node:crypto'

type Json = Record<string, unknown>

const amounts = (shop: string, presentment: string) => ({
  shop_money: { amount: shop, currency_code: 'USD' },
  presentment_money: { amount: presentment, currency_code: 'CAD' },
})

export function shopifyLine(overrides: Json = {}): Json {
  return {
    id: 13_011_223_344_001,
    admin_graphql_api_id: 'gid://shopify/LineItem/13011223344001',
    attributed_staffs: [],
    current_quantity: 2,
    fulfillable_quantity: 2,
    fulfillment_service: 'manual',
    fulfillment_status: null,
    gift_card: false,
    grams: 340,
    name: 'Linen apron - Sand',
    price: '24.50',
    price_set: amounts('24.50', '33.50'),
    product_exists: true,
    product_id: 8_123_400_001,
    properties: [],
    quantity: 2,
    requires_shipping: true,
    sku: 'APRON-SAND',
    taxable: true,
    title: 'Linen apron',
    total_discount: '0.00',
    total_discount_set: amounts('0.00', '0.00'),
    variant_id: 44_123_400_011,
    variant_inventory_management: 'shopify',
    variant_title: 'Sand',
    vendor: 'Hearth & Loom',
    tax_lines: [],
    duties: [],
    discount_allocations: [],
    ...overrides,
  }
}

export function shopifyAddress(overrides: Json = {}): Json {
  return {
    first_name: 'Marisol',
    address1: '18 Alder Row',
    phone: '+1 415-555-0142',
    city: 'St. Helena',
    zip: '94574-1203',
    province: 'California',
    country: 'United States',
    last_name: 'Quillfeather',
    address2: null,
    company: null,
    latitude: null,
    longitude: null,
    name: 'Marisol Quillfeather',
    country_code: 'US',
    province_code: 'CA',
    ...overrides,
  }
}

/** An order at the moment of `createdAt`. */
export function shopifyOrder(createdAt: Date, overrides: Json = {}): Json {
  const time = createdAt.toISOString().replace(/\.\d+Z$/, '+00:00')
  return {
    id: 5_678_901_234_567,
    admin_graphql_api_id: 'gid://shopify/Order/5678901234567',
    app_id: 580_111,
    browser_ip: '203.0.113.41',
    buyer_accepts_marketing: true,
    cancel_reason: null,
    cancelled_at: null,
    cart_token: 'c1-8f2d3b',
    checkout_id: 31_234_567_890,
    checkout_token: 'tok-4711-abc',
    client_details: {
      accept_language: 'en-US',
      browser_height: null,
      browser_ip: '203.0.113.41',
      browser_width: null,
      session_hash: null,
      user_agent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1',
    },
    closed_at: null,
    confirmation_number: 'QX7TR2',
    confirmed: true,
    contact_email: 'marisol@quillfeather.example',
    created_at: time,
    currency: 'USD',
    current_subtotal_price: '49.00',
    current_total_price: '56.20',
    current_total_price_set: amounts('56.20', '76.85'),
    customer_locale: 'en-US',
    discount_codes: [],
    email: ' Marisol@Quillfeather.example ',
    estimated_taxes: false,
    financial_status: 'paid',
    fulfillment_status: null,
    landing_site: '/products/linen-apron?utm_source=pinterest&epik=dj0yJnU9from_landing',
    landing_site_ref: null,
    location_id: null,
    name: '#4711',
    note: null,
    note_attributes: [
      { name: 'event_id', value: 'tag-4711' },
      { name: 'marketing_consent', value: 'true' },
    ],
    number: 3711,
    order_number: 4711,
    order_status_url: 'https://hearth.example/1/orders/secret/authenticate?key=secret-key',
    payment_gateway_names: ['shopify_payments'],
    phone: null,
    presentment_currency: 'CAD',
    processed_at: time,
    referring_site: 'https://www.pinterest.com/',
    source_identifier: null,
    source_name: 'web',
    source_url: null,
    subtotal_price: '49.00',
    tags: '',
    tax_lines: [],
    taxes_included: false,
    test: false,
    token: 'order-token',
    total_discounts: '0.00',
    total_line_items_price: '49.00',
    total_price: '56.20',
    total_price_set: amounts('56.20', '76.85'),
    total_tax: '4.20',
    updated_at: time,
    user_id: null,
    billing_address: shopifyAddress(),
    customer: {
      id: 7_001_002_003_004,
      email: 'marisol@quillfeather.example',
      created_at: time,
      updated_at: time,
      first_name: 'Marisol',
      last_name: 'Quillfeather',
      state: 'enabled',
      note: null,
      verified_email: true,
      multipass_identifier: null,
      tax_exempt: false,
      phone: null,
      currency: 'USD',
      tax_exemptions: [],
      admin_graphql_api_id: 'gid://shopify/Customer/7001002003004',
      default_address: shopifyAddress({ city: 'Napa', zip: '94558' }),
    },
    discount_applications: [],
    fulfillments: [],
    line_items: [
      shopifyLine(),
      // Taken off when the order was edited.
      shopifyLine({ id: 2, variant_id: 44_123_400_012, sku: 'APRON-RUST', current_quantity: 0 }),
    ],
    payment_terms: null,
    refunds: [],
    shipping_address: shopifyAddress({ first_name: 'Theodric', last_name: 'Vane', city: 'Yountville' }),
    shipping_lines: [],
    ...overrides,
  }
}

export function shopifyCheckout(createdAt: Date, overrides: Json = {}): Json {
  return {
    id: 981_820_079_255,
    token: 'tok-4711-abc',
    cart_token: 'c1-8f2d3b',
    email: 'marisol@quillfeather.example',
    created_at: createdAt.toISOString(),
    updated_at: createdAt.toISOString(),
    landing_site: null,
    note_attributes: [{ name: '_epik', value: 'dj0yJnU9from_cart' }],
    currency: 'USD',
    presentment_currency: 'USD',
    completed_at: null,
    phone: null,
    source_name: 'web',
    total_price: '49.00',
    line_items: [
      {
        key: 'k',
        variant_id: 44_123_400_011,
        product_id: 8_123_400_001,
        quantity: 2,
        price: '24.50',
        title: 'Linen apron',
      },
    ],
    billing_address: null,
    shipping_address: shopifyAddress(),
    customer: null,
    ...overrides,
  }
}

export function shopifyCustomer(createdAt: Date, overrides: Json = {}): Json {
  return {
    id: 7_001_002_003_004,
    email: 'marisol@quillfeather.example',
    created_at: createdAt.toISOString(),
    first_name: 'Marisol',
    last_name: 'Quillfeather',
    state: 'disabled',
    phone: '+14155550142',
    addresses: [],
    admin_graphql_api_id: 'gid://shopify/Customer/7001002003004',
    default_address: shopifyAddress(),
    ...overrides,
  }
}

const wooAddress = {
  first_name: 'Ois&iacute;n',
  last_name: 'O&#039;Dreoil&iacute;n',
  company: '',
  address_1: '3 Quay Street',
  address_2: '',
  city: 'Galway',
  state: 'G',
  postcode: 'H91 AX03',
  country: 'IE',
}

/** Its times in UTC have no zone, as WooCommerce writes them. */
export function wooOrder(createdAt: Date, overrides: Json = {}): Json {
  const time = createdAt.toISOString().slice(0, 19)
  return {
    id: 727,
    parent_id: 0,
    status: 'processing',
    currency: 'EUR',
    version: '10.3.0',
    prices_include_tax: true,
    date_created: time,
    date_modified: time,
    discount_total: '0.00',
    discount_tax: '0.00',
    shipping_total: '5.00',
    shipping_tax: '0.00',
    cart_tax: '9.16',
    total: '54.00',
    total_tax: '9.16',
    customer_id: 0,
    order_key: 'wc_order_secretkey',
    billing: { ...wooAddress, email: 'oisin@dreoilin.example', phone: '091 555 0102' },
    shipping: { ...wooAddress, phone: '' },
    payment_method: 'stripe',
    payment_method_title: 'Card',
    transaction_id: 'pi_secret',
    customer_ip_address: '203.0.113.77',
    customer_user_agent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
    created_via: 'checkout',
    customer_note: '',
    date_completed: null,
    date_paid: time,
    cart_hash: '9b6f5b5f',
    number: '727',
    meta_data: [
      { id: 1, key: '_wc_order_attribution_source_type', value: 'utm' },
      {
        id: 2,
        key: '_wc_order_attribution_session_entry',
        value: 'https://loch.example/tea/?utm_source=pinterest&epik=dj0yJnU9from_entry',
      },
      { id: 3, key: 'marketing_consent', value: 'yes' },
    ],
    line_items: [
      {
        id: 315,
        name: 'Breakfast tea &amp; tin',
        product_id: 93,
        variation_id: 0,
        quantity: 3,
        tax_class: '',
        subtotal: '49.00',
        subtotal_tax: '9.16',
        total: '49.00',
        total_tax: '9.16',
        taxes: [],
        meta_data: [],
        sku: 'TEA-TIN',
        price: 16.333333333333332,
        image: { id: '', src: '' },
        parent_name: null,
      },
    ],
    tax_lines: [],
    shipping_lines: [],
    fee_lines: [],
    coupon_lines: [],
    refunds: [],
    payment_url: 'https://loch.example/pay?key=wc_order_secretkey',
    is_editable: false,
    needs_payment: false,
    needs_processing: true,
    date_created_gmt: time,
    date_modified_gmt: time,
    date_completed_gmt: null,
    date_paid_gmt: time,
    currency_symbol: '€',
    _links: { self: [{ href: 'https://loch.example/wp-json/wc/v3/orders/727' }] },
    ...overrides,
  }
}

export function wooCustomer(createdAt: Date, overrides: Json = {}): Json {
  return {
    id: 25,
    date_created: createdAt.toISOString().slice(0, 19),
    date_created_gmt: createdAt.toISOString().slice(0, 19),
    email: 'oisin@dreoilin.example',
    first_name: 'Oisín',
    last_name: '',
    role: 'customer',
    username: 'oisin',
    billing: { ...wooAddress, first_name: '', last_name: '', country: '', email: '', phone: '' },
    shipping: { ...wooAddress, phone: '' },
    is_paying_customer: false,
    meta_data: [],
    ...overrides,
  }
}

export function sign(
  secret: string,
  body: string,
  encoding: 'base64' | 'hex' = 'base64',
  algorithm = 'sha256',
): string {
  return createHmac(algorithm, secret).update(body).digest(encoding)
}

/** Headers of Shopify, signed. */
export function shopifyHeaders(
  secret: string,
  body: string,
  topic = 'orders/create',
): Record<string, string> {
  return {
    'content-type': 'application/json',
    'x-shopify-topic': topic,
    'x-shopify-shop-domain': 'hearth.example',
    'x-shopify-webhook-id': 'b54557e4-bdd9-4b37-8a5f-bf7d70bcd043',
    'x-shopify-event-id': '98880550-7158-44d4-b7cd-2c97c8a091b5',
    'x-shopify-api-version': '2026-10',
    'x-shopify-hmac-sha256': sign(secret, body),
  }
}

export function wooHeaders(secret: string, body: string, topic = 'order.created'): Record<string, string> {
  return {
    'content-type': 'application/json',
    'x-wc-webhook-source': 'https://loch.example/',
    'x-wc-webhook-topic': topic,
    'x-wc-webhook-resource': topic.split('.')[0]!,
    'x-wc-webhook-event': topic.split('.')[1]!,
    'x-wc-webhook-id': '4',
    'x-wc-webhook-delivery-id': '3e5ea7f2c0ffee',
    'x-wc-webhook-signature': sign(secret, body),
  }
}
